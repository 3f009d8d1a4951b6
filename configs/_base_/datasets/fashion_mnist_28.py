# All embedded Fashion-MNIST images at their own 28 pixels: 10,000 for training, 2,000 for
# validation.
global_batch_size = 64
train_dataloader = dict(
    num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='ResumableInfiniteSampler'),
    dataset=dict(type='FashionMNIST', split='train'))
val_dataloader = dict(
    batch_size=100, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='FashionMNIST', split='test'))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM'), dict(type='CodebookUsage')]
