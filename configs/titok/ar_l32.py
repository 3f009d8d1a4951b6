# Generator over the 32 tokens of TiTok-L-32, ImageNet 256x256, 8 steps, 177,202,432 parameters
# without the tokenizer: expect FID 2.77. Trains for 500,000 iterations at global batch 2048.
_base_ = [
    '../_base_/tokenizers/titok_s128.py', '../_base_/datasets/imagenet_256_flip_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='MaskedGenerator',
    mask_schedule='arccos', mask_rounding='round', visible_weight=0.1, average='batch',
    tokenizer=dict(
        checkpoint='work_dirs/titok/l32.pth',
        encoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16),
        decoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16)),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(
        type='Bert', dim=768, num_layers=24, num_heads=16, hidden=3072, dropout=0.1,
        approximate='none', token_types=2, truncated=False),
    # One more row, for the mask token.
    head=dict(
        type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1, label_smoothing=0.1),
    input_dropout=0.0)
global_batch_size = 2048
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256, interpolation='bicubic'),
            dict(type='CenterCrop', size=256),
            dict(type='RandomFlip')
        ]))
optim_wrapper = dict(
    dtype='bfloat16',
    transformer=dict(
        no_decay_1d=True, no_decay=('embed', 'norm'),
        optimizer=dict(lr=2e-4, betas=(0.9, 0.96), weight_decay=0.03)))
custom_hooks = [
    dict(
        type='SubmoduleEMAHook', modules=('class_embedding', 'backbone', 'head'), momentum=0.001,
        warmup=True),
    dict(type='SampleGridHook', num_per_class=4)
]
train_cfg = dict(type='IterationLoop', max_iters=500000, val_interval=5000)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=10000, final=0.05, shape='cosine', by_epoch=False)]
eval_sampling = dict(
    steps=8, choice_temperature=9.5, noisy_draws=True, confidence='logit', annealing=(1.3, 0.5),
    mask_schedule='arccos', guidance=5.5, schedule='linear', closed=False)
