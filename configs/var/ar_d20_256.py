# VAR-d20, ImageNet 256x256, 600,917,136 parameters without the tokenizer (paper Table 4):
# expect FID 2.57, IS 302.6, precision 0.83, recall 0.56; FID 2.95 for the published file
# (repository). Trains for 250 epochs (417,250 iterations).
_base_ = './ar_d16_256.py'
model = dict(backbone=dict(dim=1280, num_layers=20, num_heads=20, drop_path=20 / 240))
train_cfg = dict(max_epochs=250)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=8345, warmup_start=0.005, hold=0.05, final=0.1, shape='linear',
        by_epoch=False)
]
