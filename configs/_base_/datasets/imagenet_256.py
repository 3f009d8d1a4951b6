# ImageNet: the short side is resized to 256 pixels; training takes a random crop and validation the
# center. There is no flip (docs/reference/specification.md, Data).
global_batch_size = 256
train_dataloader = dict(
    num_workers=8, persistent_workers=True, pin_memory=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='ResumableInfiniteSampler'),
    dataset=dict(
        type='ImageNet', data_root='{{$OPENMAGVIT2_DATA:data/imagenet}}', split='train',
        pipeline=[dict(type='Resize', size=256), dict(type='RandomCrop', size=256)]))
val_dataloader = dict(
    batch_size=8, num_workers=4, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='ImageNet', data_root='{{$OPENMAGVIT2_DATA:data/imagenet}}', split='val',
        pipeline=[dict(type='Resize', size=256), dict(type='CenterCrop', size=256)]))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM'), dict(type='CodebookUsage')]
# All columns of the paper's tables. LPIPS and rFID need weights to be downloaded first
# (docs/guides/evaluate.md).
test_evaluator = [
    dict(type='PSNR'), dict(type='SSIM'), dict(type='CodebookUsage'),
    dict(type='LPIPS', net='alex'), dict(type='LPIPS', net='vgg'),
    dict(type='ReconstructionFrechet', features=dict(type='FIDInception'))]
