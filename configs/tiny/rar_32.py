# The CPU twin of rar/rar_b.py: 64 tokens in random order at first, in raster order from iteration 15 on, over a tokenizer with seeded RANDOM
# weights. A few seconds on two cores; for trying out code, not for quality.
_base_ = './maskgit_32.py'
model = dict(
    _delete_=True,
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint=None,
        seed=0,
        encoder=dict(
            type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, downsample='avg_pool',
            shortcut='branch'),
        quantizer=dict(type='VQ', codebook_size=256, code_dim=16, l2_norm=False, restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, upsample='nearest_conv',
            adaptive_norm=False, shortcut='branch'),
        pixels=dict(type='Pixels', range=(0, 1))),
    order=dict(type='Random', start=5, end=15),
    conditioner=dict(type='ClassLabel', num_classes=10, dropout=0.1),
    backbone=dict(type='Rar', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    head=dict(type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1),
    input_dropout=0.0,
    image_size=32)
eval_sampling = dict(_delete_=True, guidance=4.0, schedule='cosine', power=2.75, closed=False)
