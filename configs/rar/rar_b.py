# RAR-B, ImageNet 256x256, 260,923,648 parameters without the tokenizer: expect FID 1.95. Trains for
# 250,000 iterations at global batch 2048 (400 epochs), with random token orders until 125,000 and
# raster order from 187,500 on. Each step draws one of an image's ten crops; the official training
# reads a token cache of all ten (docs/guides/data.md).
_base_ = [
    '../_base_/tokenizers/maskgit_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/titok/proxy.pth'),
    order=dict(type='Random', start=125000, end=187500),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    # The official position tables have spare rows, which nothing reads.
    backbone=dict(
        type='Rar', dim=768, num_layers=24, num_heads=16, hidden=3072, dropout=0.1, spare_rows=1022,
        spare_steps=98),
    # One more row, for the mask token of the official table.
    head=dict(type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1),
    input_dropout=0.0,
    image_size=256)
global_batch_size = 2048
train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='AdmCenterCrop', size=281), dict(type='RandomTenCrop', size=256)]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='AdmCenterCrop', size=256)]))
optim_wrapper = dict(
    dtype='bfloat16',
    transformer=dict(
        no_decay_1d=True, no_decay=('embed', 'norm', 'backbone.modulation'),
        optimizer=dict(lr=4e-4, betas=(0.9, 0.96), weight_decay=0.03)))
train_cfg = dict(type='IterationLoop', max_iters=250000, val_interval=5000)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=62500, final=0.025, shape='cosine', by_epoch=False)]
eval_sampling = dict(guidance=16.0, schedule='cosine', power=2.75, closed=False, temperature=1.0)
