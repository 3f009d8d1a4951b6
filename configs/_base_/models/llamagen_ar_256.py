# LlamaGen-B, a transformer over the tokens of configs/llamagen/vq_16.py
# (docs/reference/specification.md, LlamaGen).
_base_ = '../tokenizers/llamagen_256.py'
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(checkpoint='work_dirs/llamagen/vq_16/iter_400400.pth'),
    factorization=dict(type='TokenFactorization', vocab_sizes=[16384]),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(type='Llama', dim=768, num_layers=12, num_heads=12, dropout=0.1),
    head=dict(type='SingleHead'),
    input_dropout=0.1,
    image_size=256)
