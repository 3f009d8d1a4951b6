# TiTok-B-64, first stage: s128_stage1.py with 64 tokens and wider, deeper transformers.
_base_ = './s128_stage1.py'
model = dict(
    encoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12),
    decoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12))
