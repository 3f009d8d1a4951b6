# The transformer of ViT-VQGAN's paper, ImageNet 256x256, 1024 tokens in raster order, 1.7 B
# parameters without the tokenizer (paper Table 4): expect FID 4.17. Trains for 450,000 iterations
# at global batch 1024. Neither code nor weights are public; README.md lists what is a guess.
_base_ = [
    '../_base_/tokenizers/vit_vqgan_base.py', '../_base_/datasets/imagenet_256_flip_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/vit_vqgan/base/iter_500000.pth'),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.0, null_class=False),
    # An attention width of 1536 (16 heads of 96) is what gives 1.7 B parameters.
    backbone=dict(
        type='Gpt', dim=2048, num_layers=36, num_heads=16, head_dim=96, hidden=8192, dropout=0.1,
        checkpoint_blocks=True),
    head=dict(type='SingleHead', norm='layer_norm', zero_init=False),
    input_dropout=0.1)
global_batch_size = 1024
optim_wrapper = dict(
    dtype='bfloat16',
    transformer=dict(optimizer=dict(lr=4.5e-4, betas=(0.9, 0.96), weight_decay=4.5e-2)))
train_cfg = dict(type='IterationLoop', max_iters=450000, val_interval=5000)
param_scheduler = [dict(type='WarmupDecayLR', warmup=5000, shape='cosine', by_epoch=False)]
eval_sampling = dict(temperature=1.0)
