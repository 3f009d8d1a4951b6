# Networks of RQ-VAE: 8x8 tokens of four codes each.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4, 4),
            num_res_blocks=2, downsample='padded_conv',
            middle='attention', attention_levels=(5,), bias=True, out_kernel=3),
        quantizer=dict(
            type='Residual', depth=4, projection=256,
            quantizer=dict(
                type='VQ', codebook_size=16384, code_dim=256, l2_norm=False, ema_decay=0.99,
                ema_smoothing=1e-5, restart_below=1.0, restart_after=None)),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4, 4),
            num_res_blocks=3, upsample='nearest_conv',
            middle='attention', attention_levels=(5,), bias=True, adaptive_norm=False)))
