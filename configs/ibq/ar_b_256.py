# IBQ AR-B, ImageNet 256x256, 342,994,944 parameters without the tokenizer: expect FID 2.88, IS
# 254.73 (repository). Trains for 300 epochs at global batch 768 (500,700 iterations), including 6
# epochs of warm-up.
_base_ = [
    '../_base_/tokenizers/ibq_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/ibq/ibq_256/iter_1651650.pth'),
    backbone=dict(type='AdaLlama', dim=1024, num_layers=16, num_heads=16, gate_gain=1e-3),
    head=dict(type='SingleHead', norm=None),
    conditioner=dict(type='ClassLabel', num_classes=1000),
    image_size=256)
global_batch_size = 768
optim_wrapper = dict(dtype='bfloat16')
train_cfg = dict(type='IterationLoop', max_epochs=300, val_interval=5007)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=10014, warmup_start=0.005, hold=0.05, final=0.1,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=2.25, temperature=1.1, top_k=0, top_p=1.0)
