# RQ-Transformer, ImageNet 256x256, 820,899,328 parameters without the tokenizer: expect FID 13.11
# (repository).
_base_ = './ar_480m_256.py'
model = dict(backbone=dict(num_layers=24))
