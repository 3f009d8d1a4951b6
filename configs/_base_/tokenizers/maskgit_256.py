# MaskGIT's tokenizer: 16x16 tokens, 1024 codes. TiTok starts from it, and RAR generates its tokens.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
            downsample='avg_pool', shortcut='branch'),
        quantizer=dict(
            type='VQ', codebook_size=1024, code_dim=256, l2_norm=False, restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
            upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
        pixels=dict(type='Pixels', range=(0, 1))))
