# IBQ pretrained on about 200 M web images, 16,384 codes: expect rFID 2.06, PSNR 22.01, SSIM 0.61 on
# ImageNet at 256x256 (repository). Trains for 1.5 M iterations at a constant learning rate, because
# the official drops at iterations 50 and 100 look like leftovers.
_base_ = [
    '../_base_/models/ibq_256.py', '../_base_/datasets/pretrain_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
train_cfg = dict(type='IterationLoop', max_iters=1_500_000, val_interval=5000)
