# MaskGIT's way at the size of ar_32.py: 64 tokens, all masked at first, uncovered in 8 steps. A few seconds on two cores; for trying out
# code, not for quality.
_base_ = './ar_32_single.py'
model = dict(
    _delete_=True,
    type='MaskedGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint=None,
        seed=0,
        encoder=dict(type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, downsample='strided_conv'),
        quantizer=dict(type='LFQ', num_bits=8, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, upsample='depth_to_space',
            adaptive_norm=True)),
    conditioner=dict(type='TokenLabel', rows='behind', num_classes=10),
    backbone=dict(type='Bert', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    # Ten classes and the mask.
    head=dict(type='TiedHead', more_rows=11),
    input_dropout=0.0,
    image_size=32)
eval_sampling = dict(_delete_=True, steps=8, choice_temperature=4.5)
