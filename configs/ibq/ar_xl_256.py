# IBQ AR-XL, ImageNet 256x256, 1,076,103,168 parameters without the tokenizer: expect FID 2.14, IS
# 278.99 (repository). Trains for 400 epochs at global batch 768 (667,600 iterations), including 8
# epochs of warm-up.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1536, num_layers=24, num_heads=24, gate_gain=1e-4))
train_cfg = dict(type='IterationLoop', max_epochs=400, val_interval=5007)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=13352, warmup_start=0.005, hold=0.05, final=0.01,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=2.35, temperature=1.15, top_k=0, top_p=1.0)
