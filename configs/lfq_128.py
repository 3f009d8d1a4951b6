# Open-MAGVIT2, ImageNet 128x128, 16x16 tokens of 18 bits (paper Table 3): expect rFID 1.18, PSNR
# 25.08 (repository). On 256-pixel images (32x32 tokens) the same weights reach rFID 0.34, PSNR
# 26.19 (repository) or 27.02 (paper). Trains for 350 epochs at global batch 256 (1,751,750
# iterations); the learning rate drops tenfold after epochs 250 and 300.
_base_ = [
    './_base_/models/lfq_256.py', './_base_/datasets/imagenet_128.py',
    './_base_/schedules/tokenizer.py', './_base_/runtime.py'
]
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2, 4)),
    decoder=dict(channel_multipliers=(1, 2, 2, 4)),
    training=dict(adversarial=dict(regularizers={'0': dict(weight=0.01)})))
train_cfg = dict(type='IterationLoop', max_epochs=350, val_interval=5005)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[250, 300], gamma=0.1, by_epoch=True,
        convert_to_iter_based=True)
]
