# WeTok's AR-XL, ImageNet 256x256, 1,477,045,248 parameters without the tokenizer: expect FID 2.31
# (repository).
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1536, num_layers=48, num_heads=24), head=dict(num_layers=4))
eval_sampling = dict(guidance=[1.75, 1.8, 2.0, 2.0])
