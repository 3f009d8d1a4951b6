# The CPU twin of rar/rar_b.py: 64 tokens, in random orders at first and in raster order from
# iteration 15 on, over a tokenizer with seeded RANDOM weights. A few seconds on two cores; for
# trying out code, not for quality.
_base_ = './maskgit_32.py'
model = dict(
    _delete_=True,
    type='AutoregressiveGenerator',
    tokenizer=_base_.model.tokenizer,
    order=dict(type='Random', start=5, end=15),
    conditioner=dict(type='ClassLabel', num_classes=10, dropout=0.1),
    backbone=dict(type='Rar', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    head=dict(type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1),
    input_dropout=0.0,
    image_size=32)
eval_sampling = dict(_delete_=True, guidance=4.0, schedule='cosine', power=2.75, closed=False)
