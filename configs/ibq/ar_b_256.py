# IBQ AR-B, ImageNet 256x256, 342,994,944 parameters without the tokenizer: expect FID 2.88, IS 254.73 (repository). 300 epochs of global
# batch 768 = 500,700 iterations, warm-up of 6 epochs.
_base_ = '../ar_b_256.py'
model = dict(
    _delete_=True,
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/ibq/ibq_256/iter_1651650.pth',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, downsample='padded_conv',
            middle='attention', attention_levels=(4, ), bias=True, out_kernel=3),
        quantizer=dict(type='IBQ', codebook_size=16384, code_dim=256, projection=256, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=5, upsample='nearest_conv',
            middle='attention', attention_levels=(4, ), bias=True, adaptive_norm=False)),
    backbone=dict(type='AdaLlama', dim=1024, num_layers=16, num_heads=16, gate_gain=1e-3),
    head=dict(type='SingleHead', norm=None),
    conditioner=dict(type='ClassLabel', num_classes=1000),
    image_size=256)
eval_sampling = dict(guidance=2.25, temperature=1.1, top_k=0, top_p=1.0)
