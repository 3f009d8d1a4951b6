# The CPU twin of maskgit/maskgit_256.py: 64 tokens, all masked at first and unmasked in 8 steps,
# over a tokenizer with seeded RANDOM weights. A few seconds on two cores; for trying out code, not
# for quality.
_base_ = './ar_32_single.py'
model = dict(
    _delete_=True,
    type='MaskedGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint=None,
        seed=0,
        encoder=dict(
            type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
            downsample='avg_pool', shortcut='branch'),
        quantizer=dict(
            type='VQ', codebook_size=256, code_dim=16, l2_norm=False, restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
            upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
        pixels=dict(type='Pixels', range=(0, 1))),
    conditioner=dict(type='TokenLabel', rows='behind', num_classes=10),
    backbone=dict(type='Bert', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    # Rows of the ten classes and the mask token.
    head=dict(type='TiedHead', more_rows=11),
    input_dropout=0.0,
    image_size=32)
eval_sampling = dict(_delete_=True, steps=8, choice_temperature=4.5)
