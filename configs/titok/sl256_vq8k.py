# TiTok-SL-256, trained in one stage: bl64_vq8k.py with 256 tokens and a smaller encoder;
# expect rFID 1.03 (repository).
_base_ = './bl64_vq8k.py'
model = dict(
    encoder=dict(num_tokens=256, dim=512, num_layers=8, num_heads=8), decoder=dict(num_tokens=256))
