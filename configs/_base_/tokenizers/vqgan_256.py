# Networks of VQGAN's tokenizer: 16x16 tokens from a learned codebook.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
            downsample='padded_conv',
            middle='attention', attention_levels=(4,), bias=True, out_kernel=3),
        quantizer=dict(
            type='VQ', codebook_size=1024, code_dim=256, projection=256, l2_norm=False, legacy=True,
            restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3,
            upsample='nearest_conv',
            middle='attention', attention_levels=(4,), bias=True, adaptive_norm=False)))
