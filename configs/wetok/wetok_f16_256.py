# WeTok, ImageNet 256x256, 16x16 tokens of 4 groups of 8 bits: the tokenizer of WeTok's
# transformers. No reconstruction number was published for it. Losses and learning rates are those
# of the released config, which are Open-MAGVIT2's. Trains for 270 epochs at global batch 128
# (2,702,700 iterations).
_base_ = [
    '../_base_/models/lfq_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    encoder=dict(channels=256),
    quantizer=dict(
        _delete_=True, type='Grouped', groups=4,
        quantizer=dict(type='LFQ', num_bits=8, temperature=0.01)),
    decoder=dict(channels=256))
global_batch_size = 128
train_cfg = dict(type='IterationLoop', max_epochs=270, val_interval=10010)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[200, 250], gamma=0.1, by_epoch=True,
        convert_to_iter_based=True)
]
