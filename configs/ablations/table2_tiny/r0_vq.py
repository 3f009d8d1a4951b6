# The ladder of ablations/table2, small enough for a CPU: 64-pixel crops of photographs to 8x8
# tokens, trained with L1 and the quantizer's own losses. OPENMAGVIT2_DATA names a folder of images
# whose paths begin with train or val. No tick yet: a learned codebook of 2^8 codes.
_base_ = ['../../_base_/schedules/tokenizer.py', '../../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
        downsample='avg_pool', patch_size=2),
    quantizer=dict(type='VQ', codebook_size=256, code_dim=64, l2_norm=False, restart_after=None),
    decoder=dict(
        type='CnnDecoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
        upsample='nearest_conv', patch_size=2, adaptive_norm=False),
    training=dict(losses=dict(reconstruction=dict(type='L1Loss', weight=1.0))))
global_batch_size = 16
train_dataloader = dict(
    num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='ResumableInfiniteSampler'),
    dataset=dict(
        type='ImageFolder', data_root='{{$OPENMAGVIT2_DATA:data/photos}}', pattern='train*',
        pipeline=[dict(type='RandomCrop', size=64)]))
val_dataloader = dict(
    batch_size=32, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='ImageFolder', data_root='{{$OPENMAGVIT2_DATA:data/photos}}', pattern='val*',
        pipeline=[dict(type='CenterCrop', size=64)]))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM'), dict(type='CodebookUsage')]
optim_wrapper = dict(
    dtype='auto', autoencoder=dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99))), discriminator=None)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=50, shape='cosine', final=0.02, by_epoch=False)]
train_cfg = dict(type='IterationLoop', max_iters=800, val_interval=None)
default_hooks = dict(checkpoint=dict(interval=200))
custom_hooks = {'0': dict(momentum=0.01)}
