# Open-MAGVIT2 pretrained on about 100 M web images, 2^18 codes (paper Table 5): expect rFID 1.67,
# PSNR 22.70, SSIM 0.64 on ImageNet at 256x256, and 0.78, 22.24, 0.59 at original resolution. Trains
# for 1.5 M iterations at global batch 256; the learning rate drops tenfold after 800 k and 1 M
# iterations.
_base_ = [
    './_base_/models/lfq_256.py', './_base_/datasets/pretrain_256.py',
    './_base_/schedules/tokenizer.py', './_base_/runtime.py'
]
train_cfg = dict(type='IterationLoop', max_iters=1_500_000, val_interval=5005)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[800_000, 1_000_000], gamma=0.1, by_epoch=False)]
