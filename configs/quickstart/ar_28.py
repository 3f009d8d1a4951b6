# Stage II of tools/quickstart.py: next sub-token prediction (5 + 5 bits) over the 7x7 tokens of lfq_28.py, for two CPU cores.
_base_ = ['../_base_/datasets/fashion_mnist_28.py', '../_base_/schedules/generator.py', '../_base_/runtime.py']
model = dict(
    type='ClassConditionalGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/quickstart/tokenizer/last.pth',
        encoder=dict(type='CnnEncoder', channels=32, channel_multipliers=(1, 2), num_res_blocks=1, downsample='strided_conv', patch_size=2),
        quantizer=dict(type='LFQ', num_bits=10, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 2), num_res_blocks=1, upsample='depth_to_space', patch_size=2,
            adaptive_norm=True)),
    factorization=dict(type='TokenFactorization', bits=[5, 5]),
    backbone=dict(type='Llama', dim=192, num_layers=4, num_heads=3, dropout=0.0),
    head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0),
    num_classes=10,
    grid=(7, 7))
val_evaluator = [dict(type='NegativeLogLikelihood')]
optim_wrapper = dict(dtype='auto', transformer=dict(optimizer=dict(lr=1.5e-3)))
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=50, warmup_start=0.005, hold=0.05, final=0.05, shape='linear', by_epoch=False)
]
train_cfg = dict(type='IterationLoop', max_iters=900, val_interval=450)
default_hooks = dict(checkpoint=dict(interval=150))
# Below this samples are more diverse and less clearly of their class.
eval_sampling = dict(guidance=1.75)
