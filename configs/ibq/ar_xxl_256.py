# IBQ AR-XXL, ImageNet 256x256, 2,063,331,840 parameters without the tokenizer: expect FID 2.05, IS
# 286.73 (repository). Trains for 450 epochs at global batch 768 (751,050 iterations), including 9
# epochs of warm-up. Weight decay stays at 0.05; officially it grows to 0.08.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1920, num_layers=30, num_heads=30, gate_gain=1e-5))
train_cfg = dict(type='IterationLoop', max_epochs=450, val_interval=5007)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=15021, warmup_start=0.005, hold=0.05, final=0.01,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=2.85, temperature=1.2, top_k=0, top_p=1.0)
