# VAR-d30, ImageNet 256x256, 2,010,020,356 parameters without the tokenizer (paper Table 4):
# expect FID 1.92, IS 323.1, precision 0.82, recall 0.59; FID 1.97 for the published file
# (repository). Trains for 350 epochs at global batch 1024 (438,200 iterations). Weight decay stays
# at 0.05; officially it grows to 0.08.
_base_ = './ar_d24_256.py'
model = dict(
    backbone=dict(dim=1920, num_layers=30, num_heads=30, drop_path=30 / 240, first_gain=1e-5))
global_batch_size = 1024
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=3.2e-4)))
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=8764, warmup_start=0.005, hold=0.05, final=0.01,
        shape='linear', by_epoch=False)
]
