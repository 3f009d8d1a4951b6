# The RQ-Transformer with 480 M parameters over the 8x8x4 codes of configs/rq/rq_vae_256.py. Its
# targets are the distributions that the codes are drawn from.
_base_ = '../tokenizers/rq_256.py'
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/rq/rq_vae_256/iter_100100.pth'),
    conditioner=dict(type='ClassLabel', num_classes=1000, null_class=False, dropout=0.0),
    backbone=dict(type='Gpt', dim=1536, num_layers=12, num_heads=24, dropout=0.1),
    head=dict(type='CumulativeCodeHead', num_layers=4, dropout=0.1),
    input_dropout=0.0,
    soft_targets=dict(temperature=0.5),
    image_size=256)
