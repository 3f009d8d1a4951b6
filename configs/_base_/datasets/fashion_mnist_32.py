# 256 of the embedded Fashion-MNIST images for training and 100 for validation, padded to 32 pixels.
global_batch_size = 16
train_dataloader = dict(
    num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='ResumableInfiniteSampler'),
    dataset=dict(
        type='FashionMNIST', split='train', num_images=256, pipeline=[dict(type='Pad', size=32)]))
val_dataloader = dict(
    batch_size=32, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='FashionMNIST', split='test', num_images=100, pipeline=[dict(type='Pad', size=32)]))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM'), dict(type='CodebookUsage')]
