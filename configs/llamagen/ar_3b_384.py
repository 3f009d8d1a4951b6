# LlamaGen-3B at 384 pixels, 24x24 tokens, samples resized to 256 (paper Table 4, with an asterisk),
# 3,096,659,200 parameters: expect FID 2.18. Attention heads have 100 channels.
_base_ = './ar_xxl_384.py'
model = dict(backbone=dict(dim=3200, num_layers=24, num_heads=32))
eval_sampling = dict(guidance=1.65)
