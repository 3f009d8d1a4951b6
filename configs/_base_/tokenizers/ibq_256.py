# Networks of IBQ's 256-pixel tokenizer: 16x16 tokens from a learned codebook of 16,384 codes.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4,
            downsample='padded_conv',
            middle='attention', attention_levels=(4,), bias=True, out_kernel=3),
        quantizer=dict(
            type='IBQ', codebook_size=16384, code_dim=256, projection=256, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=5,
            upsample='nearest_conv',
            middle='attention', attention_levels=(4,), bias=True, adaptive_norm=False)))
