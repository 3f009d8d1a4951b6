# MaskGIT, ImageNet 256x256, 8 steps, 172,457,193 parameters without the tokenizer: expect FID 6.06
# (its repository). Trains for 300 epochs at global batch 256 (1,501,500 iterations).
_base_ = [
    '../_base_/tokenizers/maskgit_256.py', '../_base_/datasets/imagenet_256_flip_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='MaskedGenerator',
    tokenizer=dict(checkpoint='work_dirs/maskgit/vq_256.pth'),
    conditioner=dict(type='TokenLabel', rows='behind', num_classes=1000),
    backbone=dict(type='Bert', dim=768, num_layers=24, num_heads=16, hidden=3072, dropout=0.1),
    # Rows of the 1000 classes and the mask token.
    head=dict(type='TiedHead', more_rows=1001, label_smoothing=0.1),
    input_dropout=0.1,
    image_size=256)
optim_wrapper = dict(
    transformer=dict(
        # Weight decay on kernels alone.
        no_decay_1d=True, no_decay=('embed',),
        optimizer=dict(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045)))
train_cfg = dict(type='IterationLoop', max_epochs=300, val_interval=5005)
param_scheduler = [dict(type='LinearLR', start_factor=0.0002, begin=0, end=5000, by_epoch=False)]
eval_sampling = dict(steps=8, choice_temperature=4.5)
