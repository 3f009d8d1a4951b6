# ViT-VQGAN, small encoder and decoder: 1.99 rFID in its paper. base.py, smaller.
_base_ = './base.py'
model = dict(
    encoder=dict(dim=512, num_layers=8, num_heads=8, hidden=2048),
    decoder=dict(dim=512, num_layers=8, num_heads=8, hidden=2048))
