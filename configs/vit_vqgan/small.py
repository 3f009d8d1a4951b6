# ViT-VQGAN, small encoder and decoder: expect rFID 1.99 (its paper). A smaller base.py.
_base_ = './base.py'
model = dict(
    encoder=dict(dim=512, num_layers=8, num_heads=8, hidden=2048),
    decoder=dict(dim=512, num_layers=8, num_heads=8, hidden=2048))
