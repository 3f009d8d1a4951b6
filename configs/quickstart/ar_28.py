# Stage II of tools/quickstart.py, sized for two CPU cores: next sub-token prediction (40 x 25
# values) over the 7x7 tokens of fsq_28.py, read from a token cache.
_base_ = [
    '../_base_/datasets/fashion_mnist_28.py', '../_base_/schedules/generator.py',
    '../_base_/runtime.py']
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/quickstart/tokenizer/iter_3200.pth',
        encoder=dict(
            type='CnnEncoder', channels=64, channel_multipliers=(1,), num_res_blocks=1,
            patch_size=4),
        quantizer=dict(type='FSQ', levels=(8, 5, 5, 5)),
        decoder=dict(
            type='CnnDecoder', channels=64, channel_multipliers=(1,), num_res_blocks=1,
            adaptive_norm=True, patch_size=4)),
    factorization=dict(type='TokenFactorization', vocab_sizes=[40, 25]),
    backbone=dict(
        type='Llama', dim=96, num_layers=4, num_heads=2, dropout=0.0, learned_positions=True),
    head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0),
    conditioner=dict(type='ClassLabel', num_classes=10),
    image_size=28,
    input_dropout=0.0)
global_batch_size = 16
# tools/quickstart.py writes these caches.
train_dataloader = dict(
    dataset=dict(_delete_=True, type='TokenCache', data_root='work_dirs/quickstart/tokens/train'))
val_dataloader = dict(
    dataset=dict(_delete_=True, type='TokenCache', data_root='work_dirs/quickstart/tokens/val'))
val_evaluator = [dict(type='NegativeLogLikelihood')]
optim_wrapper = dict(dtype='auto', transformer=dict(optimizer=dict(lr=3e-3)))
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=50, warmup_start=0.005, hold=0.05, final=0.05, shape='linear',
        by_epoch=False)
]
train_cfg = dict(type='IterationLoop', max_iters=2800, val_interval=1400)
default_hooks = dict(checkpoint=dict(interval=250))
# With less guidance, samples are more diverse but show their class less clearly.
eval_sampling = dict(guidance=2.5)
