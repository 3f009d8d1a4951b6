# Comparison of heads, small enough for a CPU: next sub-token prediction with 14 bits split
# asymmetrically into 5 + 9, as the paper splits 18 into 6 + 12. Run python tools/ablate.py
# configs/ablations/heads_tiny --tokenizer configs/ablations/heads_tiny/tokenizer/lfq_32_14bit.py
# --judge …
_base_ = [
    '../../_base_/datasets/fashion_mnist_28.py', '../../_base_/schedules/generator.py',
    '../../_base_/runtime.py']
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/heads_tiny/lfq_32_14bit/seed_0/iter_3000.pth',
        encoder=dict(
            type='CnnEncoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
            downsample='strided_conv', patch_size=2),
        quantizer=dict(type='LFQ', num_bits=14, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
            upsample='depth_to_space', patch_size=2, adaptive_norm=True)),
    factorization=dict(type='TokenFactorization', bits=[5, 9]),
    backbone=dict(type='Llama', dim=256, num_layers=5, num_heads=4),
    head=dict(type='NextSubTokenHead', num_layers=1),
    conditioner=dict(type='ClassLabel', num_classes=10),
    image_size=32)
global_batch_size = 32
train_dataloader = dict(dataset=dict(pipeline=[dict(type='Pad', size=32), dict(type='RandomFlip')]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='Pad', size=32)]))
val_evaluator = [dict(type='NegativeLogLikelihood')]
optim_wrapper = dict(dtype='auto', transformer=dict(optimizer=dict(lr=1e-3)))
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=50, warmup_start=0.005, hold=0.05, final=0.05, shape='linear',
        by_epoch=False)
]
train_cfg = dict(type='IterationLoop', max_iters=800, val_interval=None)
default_hooks = dict(checkpoint=dict(interval=200))
eval_sampling = dict(guidance=1.5)
