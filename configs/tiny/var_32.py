# The CPU twin of VAR: 21 tokens in three scales, over a tokenizer with seeded RANDOM weights. A few
# seconds on two cores; for trying out code, not for quality.
_base_ = './ar_32.py'
model = dict(
    _delete_=True,
    type='NextScaleGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint=None,
        seed=0,
        encoder=dict(
            type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2, 2), num_res_blocks=1,
            downsample='padded_conv',
            middle='attention', attention_levels=(3,), qkv='joint', bias=True, out_kernel=3),
        quantizer=dict(
            type='MultiScale',
            quantizer=dict(
                type='VQ', codebook_size=64, code_dim=8, l2_norm=False, restart_after=None),
            scales=(1, 2, 4), projection=8, projection_kernel=3),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2, 2), num_res_blocks=2,
            upsample='nearest_conv',
            middle='attention', attention_levels=(3,), qkv='joint', bias=True,
            adaptive_norm=False)),
    conditioner=dict(type='ClassLabel', num_classes=10, dropout=0.1),
    backbone=dict(type='AdaLnTransformer', dim=64, num_layers=2, num_heads=4, drop_path=0.01),
    head=dict(type='SingleHead', norm=None, bias=True, embedding=None),
    input_dropout=0.0,
    image_size=32)
# VAR's guidance grows from scale to scale.
eval_sampling = dict(guidance=2.5, schedule='linear')
