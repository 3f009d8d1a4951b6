# The generator of TiTok-L-32, ImageNet 256x256: 32 masked tokens uncovered in 8 steps, 177,202,432 parameters without the tokenizer: expect
# FID 2.77. 500,000 iterations of global batch 2048.
_base_ = [
    '../_base_/datasets/imagenet_256_flip.py', '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='MaskedGenerator',
    mask_schedule='arccos', mask_rounding='round', visible_weight=0.1, average='batch',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/titok/l32.pth',
        encoder=dict(
            type='LatentVitEncoder', image_size=256, patch_size=16, num_tokens=32, dim=1024, num_layers=24, num_heads=16,
            legacy_reshape=True),
        quantizer=dict(type='VQ', codebook_size=4096, code_dim=12, l2_norm=True, restart_after=None),
        decoder=dict(
            type='LatentVitDecoder', image_size=256, patch_size=16, num_tokens=32, dim=1024, num_layers=24, num_heads=16,
            proxy=(1024, 256),
            proxy_decoder=dict(
                type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
                upsample='nearest_conv', adaptive_norm=False, shortcut='branch')),
        pixels=dict(type='Pixels', range=(0, 1))),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(
        type='Bert', dim=768, num_layers=24, num_heads=16, hidden=3072, dropout=0.1, approximate='none', token_types=2,
        truncated=False),
    # One more row: the mask.
    head=dict(type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1, label_smoothing=0.1),
    input_dropout=0.0)
global_batch_size = 2048
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256, interpolation='bicubic'), dict(type='CenterCrop', size=256),
            dict(type='RandomFlip')
        ]))
optim_wrapper = dict(
    dtype='bfloat16',
    transformer=dict(
        no_decay_1d=True, no_decay=('embed', 'norm'),
        optimizer=dict(lr=2e-4, betas=(0.9, 0.96), weight_decay=0.03)))
custom_hooks = [
    dict(type='SubmoduleEMAHook', modules=('class_embedding', 'backbone', 'head'), momentum=0.001, warmup=True),
    dict(type='SampleGridHook', num_per_class=4)
]
val_evaluator = [dict(type='NegativeLogLikelihood')]
reference = '{{$OPENMAGVIT2_REFERENCE:data/VIRTUAL_imagenet256_labeled.npz}}'
test_evaluator = [
    dict(type='SampleFrechet', reference=reference),
    dict(type='SampleInceptionScore'),
    dict(type='SamplePrecisionRecall', reference=reference)]
test_cfg = dict(type='GenerationLoop', num_per_class=50)
train_cfg = dict(type='IterationLoop', max_iters=500000, val_interval=5000)
param_scheduler = [dict(type='WarmupDecayLR', warmup=10000, final=0.05, shape='cosine', by_epoch=False)]
eval_sampling = dict(
    steps=8, choice_temperature=9.5, noisy_draws=True, confidence='logit', annealing=(1.3, 0.5), mask_schedule='arccos',
    guidance=5.5, schedule='linear', closed=False)
