# ViT-VQGAN, small encoder and large decoder, ImageNet 256x256, 32x32 tokens, 8192 codes (paper
# Table 3): expect rFID 1.28. base.py with networks of other sizes; its weights were never
# published.
_base_ = './base.py'
model = dict(
    encoder=dict(dim=512, num_layers=8, num_heads=8, hidden=2048),
    decoder=dict(dim=1280, num_layers=32, num_heads=16, hidden=5120))
