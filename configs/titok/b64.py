# TiTok-B-64, second stage, ImageNet 256x256, 64 tokens, 4096 codes (paper Table 3):
# expect rFID 1.70. s128.py with 64 tokens and wider, deeper transformers.
_base_ = './s128.py'
model = dict(
    encoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12),
    decoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12),
    training=dict(start=dict(checkpoint='work_dirs/titok/b64_stage1/iter_1000000.pth')))
