# WeTok's AR-B, ImageNet 256x256, four sub-tokens of 8 bits, 337,147,904 parameters without the
# tokenizer. No published number is known. Trains for 1000 epochs at global batch 3072 (418,000
# iterations), including 6 epochs of warm-up.
_base_ = [
    '../_base_/models/ar_b_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    tokenizer=dict(
        checkpoint='work_dirs/wetok/wetok_f16_256/iter_2702700.pth',
        encoder=dict(channels=256),
        quantizer=dict(
            _delete_=True, type='Grouped', groups=4,
            quantizer=dict(type='LFQ', num_bits=8, temperature=0.01)),
        decoder=dict(channels=256)),
    factorization=dict(_delete_=True, type='TokenFactorization'))
global_batch_size = 3072
optim_wrapper = dict(dtype='float16')
train_cfg = dict(type='IterationLoop', max_epochs=1000, val_interval=4180)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=2508, warmup_start=0.005, hold=0.05, final=0.1, shape='linear',
        by_epoch=False)
]
eval_sampling = dict(guidance=[1.95, 2.05, 1.95, 1.95], temperature=1.0, top_k=0, top_p=1.0)
