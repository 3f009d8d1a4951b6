# VAR-d24, ImageNet 256x256, 1,033,399,360 parameters without the tokenizer (paper Table 4):
# expect FID 2.09, IS 312.9, precision 0.82, recall 0.59; FID 2.33 for the published file
# (repository). Trains for 350 epochs (584,150 iterations).
_base_ = './ar_d16_256.py'
model = dict(
    backbone=dict(dim=1536, num_layers=24, num_heads=24, drop_path=24 / 240, first_gain=1e-4))
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2.4e-4)))
train_cfg = dict(max_epochs=350)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=11683, warmup_start=0.005, hold=0.05, final=0.01,
        shape='linear', by_epoch=False)
]
