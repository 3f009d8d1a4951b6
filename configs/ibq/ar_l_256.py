# IBQ AR-L, ImageNet 256x256, 649,640,960 parameters without the tokenizer: expect FID 2.45, IS
# 267.48 (repository). Trains for 350 epochs at global batch 768 (584,150 iterations), including 7
# epochs of warm-up.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1280, num_layers=20, num_heads=20, gate_gain=1e-3))
train_cfg = dict(type='IterationLoop', max_epochs=350, val_interval=5007)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=11683, warmup_start=0.005, hold=0.05, final=0.1,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=2.0, temperature=1.0, top_k=0, top_p=1.0)
