# Open-MAGVIT2, ImageNet 256x256, 16x16 tokens of 18 bits (paper Table 3): expect rFID 1.17, PSNR
# 21.90 (repository) or 22.64 (paper), codebook usage 100 %. Trains for 270 epochs at global batch
# 256 (1,351,350 iterations); the learning rate drops tenfold after epochs 200 and 250.
_base_ = [
    './_base_/models/lfq_256.py', './_base_/datasets/imagenet_256.py',
    './_base_/schedules/tokenizer.py', './_base_/runtime.py'
]
train_cfg = dict(type='IterationLoop', max_epochs=270, val_interval=5005)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[200, 250], gamma=0.1, by_epoch=True,
        convert_to_iter_based=True)
]
