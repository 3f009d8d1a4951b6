# RQ-Transformer, ImageNet 256x256, 1,387,529,728 parameters without the tokenizer:
# expect FID 11.56, or 4.45 with rejection of 95 % (repository).
_base_ = './ar_480m_256.py'
model = dict(backbone=dict(num_layers=42), head=dict(num_layers=6))
