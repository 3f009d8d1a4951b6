# WeTok's AR-L, ImageNet 256x256, 796,334,080 parameters without the tokenizer. No published number
# is known.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1280, num_layers=36, num_heads=20), head=dict(num_layers=3))
eval_sampling = dict(guidance=[1.95, 1.8, 2.0, 1.9])
