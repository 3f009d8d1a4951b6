# VAR's transformer of depth 16 over ten maps of tokens, on the tokenizer of configs/var/var_vae_256.py.
model = dict(
    type='NextScaleGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/var/var_vae_256/iter_417250.pth',
        encoder=dict(
            type='CnnEncoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='padded_conv',
            middle='attention', attention_levels=(4, ), qkv='joint', bias=True, out_kernel=3),
        quantizer=dict(
            type='MultiScale', scales=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16), projection=32, projection_kernel=3,
            quantizer=dict(type='VQ', codebook_size=4096, code_dim=32, l2_norm=False, restart_after=None)),
        decoder=dict(
            type='CnnDecoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3, upsample='nearest_conv',
            middle='attention', attention_levels=(4, ), qkv='joint', bias=True, adaptive_norm=False)),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(type='AdaLnTransformer', dim=1024, num_layers=16, num_heads=16, drop_path=16 / 240, first_gain=1e-3),
    head=dict(type='SingleHead', norm=None, bias=True, embedding=None),
    input_dropout=0.0,
    image_size=256)
