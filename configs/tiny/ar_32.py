# The CPU twin of ar_b_256.py: 20 iterations in seconds on two cores. Its tokenizer has seeded
# RANDOM weights, so that it runs in a fresh clone. For trying out code, not for quality.
_base_ = [
    '../_base_/datasets/fashion_mnist_32.py', '../_base_/schedules/generator.py',
    '../_base_/runtime.py']
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint=None,
        seed=0,
        encoder=dict(
            type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
            downsample='strided_conv'),
        quantizer=dict(type='LFQ', num_bits=8, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
            upsample='depth_to_space', adaptive_norm=True)),
    factorization=dict(type='TokenFactorization', bits=[3, 5]),
    backbone=dict(type='Llama', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0),
    conditioner=dict(type='ClassLabel', num_classes=10),
    image_size=32,
    input_dropout=0.0)
optim_wrapper = dict(dtype='auto', transformer=dict(optimizer=dict(lr=3e-3)))
val_evaluator = [dict(type='NegativeLogLikelihood')]
train_cfg = dict(type='IterationLoop', max_iters=20, val_interval=10)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=2, warmup_start=0.005, hold=0.05, final=0.1, shape='linear',
        by_epoch=False)
]
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=10))
eval_sampling = dict(guidance=2.0)
