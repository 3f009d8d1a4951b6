# TiTok-SL-256 of one stage: bl64_vq8k.py with 256 tokens and a smaller encoder; rFID 1.03 in its
# repository.
_base_ = './bl64_vq8k.py'
model = dict(
    encoder=dict(num_tokens=256, dim=512, num_layers=8, num_heads=8), decoder=dict(num_tokens=256))
