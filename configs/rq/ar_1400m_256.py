# RQ-Transformer, 1,387,529,728 parameters without the tokenizer, ImageNet 256x256: expect FID
# 11.56, with rejection of 95 % 4.45 (repository).
_base_ = './ar_480m_256.py'
model = dict(backbone=dict(num_layers=42), head=dict(num_layers=6))
