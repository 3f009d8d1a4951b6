# The paper's AR-B transformer over 16x16 tokens of 6 + 12 bits, on the tokenizer of lfq_256.py.
_base_ = '../tokenizers/lfq_256.py'
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/lfq_256/iter_1351350.pth'),
    factorization=dict(type='TokenFactorization', bits=[6, 12]),
    backbone=dict(type='Llama', dim=1024, num_layers=24, num_heads=16),
    head=dict(type='NextSubTokenHead', num_layers=2),
    conditioner=dict(type='ClassLabel', num_classes=1000),
    image_size=256)
