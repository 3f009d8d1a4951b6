# IBQ, ImageNet 256x256, 16x16 tokens of 16,384 codes: expect rFID 1.37, LPIPS 0.2235, usage 96 %
# (repository). 330 epochs of global batch 256 = 1,651,650 iterations; learning rate x0.1 after
# epochs 250 and 300. The official code resizes without antialias, in validation too.
_base_ = [
    '../_base_/models/ibq_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
train_cfg = dict(type='IterationLoop', max_epochs=330, val_interval=5005)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[250, 300], gamma=0.1, by_epoch=True,
        convert_to_iter_based=True)
]
