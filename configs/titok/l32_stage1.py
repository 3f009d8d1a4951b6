# TiTok-L-32, first stage: s128_stage1.py with 32 tokens and wider, deeper transformers.
_base_ = './s128_stage1.py'
model = dict(
    encoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16),
    decoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16))
