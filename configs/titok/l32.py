# TiTok-L-32, second stage, ImageNet 256x256, 32 tokens, 4096 codes (paper Table 3):
# expect rFID 2.21. s128.py with 32 tokens and wider, deeper transformers.
_base_ = './s128.py'
model = dict(
    encoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16),
    decoder=dict(num_tokens=32, dim=1024, num_layers=24, num_heads=16),
    training=dict(start=dict(checkpoint='work_dirs/titok/l32_stage1/iter_1000000.pth')))
