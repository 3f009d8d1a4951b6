# MaskGIT, ImageNet 256x256, 8 steps, 172,457,193 parameters without the tokenizer: expect FID 6.06 (its repository).
# 300 epochs of global batch 256 = 1,501,500 iterations.
_base_ = [
    '../_base_/datasets/imagenet_256_flip.py', '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='MaskedGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/maskgit/vq_256.pth',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='avg_pool',
            shortcut='branch'),
        quantizer=dict(type='VQ', codebook_size=1024, code_dim=256, l2_norm=False, restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, upsample='nearest_conv',
            adaptive_norm=False, shortcut='branch'),
        pixels=dict(type='Pixels', range=(0, 1))),
    conditioner=dict(type='TokenLabel', rows='behind', num_classes=1000),
    backbone=dict(type='Bert', dim=768, num_layers=24, num_heads=16, hidden=3072, dropout=0.1),
    # 1000 classes and the mask.
    head=dict(type='TiedHead', more_rows=1001, label_smoothing=0.1),
    input_dropout=0.1,
    image_size=256)
optim_wrapper = dict(
    transformer=dict(
        # Decay of kernels alone.
        no_decay_1d=True, no_decay=('embed', ), optimizer=dict(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045)))
val_evaluator = [dict(type='NegativeLogLikelihood')]
reference = '{{$OPENMAGVIT2_REFERENCE:data/VIRTUAL_imagenet256_labeled.npz}}'
test_evaluator = [
    dict(type='SampleFrechet', reference=reference),
    dict(type='SampleInceptionScore'),
    dict(type='SamplePrecisionRecall', reference=reference)]
test_cfg = dict(type='GenerationLoop', num_per_class=50)
train_cfg = dict(type='IterationLoop', max_epochs=300, val_interval=5005)
param_scheduler = [dict(type='LinearLR', start_factor=0.0002, begin=0, end=5000, by_epoch=False)]
eval_sampling = dict(steps=8, choice_temperature=4.5)
