# Networks of VAR's tokenizer: ten token maps from 1x1 to 16x16, 4,096 codes.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
            downsample='padded_conv',
            middle='attention', attention_levels=(4,), qkv='joint', bias=True, out_kernel=3),
        quantizer=dict(
            type='MultiScale', scales=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16), projection=32,
            projection_kernel=3,
            quantizer=dict(
                type='VQ', codebook_size=4096, code_dim=32, l2_norm=False, restart_after=None)),
        decoder=dict(
            type='CnnDecoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3,
            upsample='nearest_conv',
            middle='attention', attention_levels=(4,), qkv='joint', bias=True,
            adaptive_norm=False)))
