# VAR's tokenizer for 32-pixel images: maps of 1, 2x2 and 4x4 tokens, 64 codes; each map adds to the
# sum of the previous ones. A few seconds on two cores; for trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        channel_multipliers=(1, 1, 2, 2), downsample='padded_conv', middle='attention',
        attention_levels=(3,), qkv='joint', bias=True, out_kernel=3),
    quantizer=dict(
        _delete_=True, type='MultiScale',
        quantizer=dict(type='VQ', codebook_size=64, code_dim=8, l2_norm=False, restart_after=None),
        scales=(1, 2, 4), projection=8, projection_kernel=3),
    decoder=dict(
        channel_multipliers=(1, 1, 2, 2), num_res_blocks=2, upsample='nearest_conv',
        middle='attention', attention_levels=(3,), qkv='joint', bias=True, adaptive_norm=False))
