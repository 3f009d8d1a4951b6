# Infinity's tokenizer for 32-pixel images: maps of 1, 2x2 and 4x4 tokens of 8 bits, the signs of
# unit vectors. There are no more bits, because the 2,100 tokens of the 100 test images could not
# show that more codes are in use. A few seconds on two cores; for trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        channel_multipliers=(1, 1, 2, 2), downsample='padded_conv', middle='plain', bias=True,
        out_kernel=3),
    quantizer=dict(
        _delete_=True, type='MultiScale', scales=(1, 2, 4), num_phi=0, upsample='bilinear',
        gradient='scales',
        quantizer=dict(
            type='LFQ', num_bits=8, spherical=True, temperature=0.01, entropy_groups=8,
            entropy_eps=1e-8)),
    decoder=dict(
        channel_multipliers=(1, 1, 2, 2), num_res_blocks=2, upsample='nearest_conv', middle='plain',
        bias=True, adaptive_norm=False),
    training=dict(quantizer_losses=dict(entropy=0.001)))
