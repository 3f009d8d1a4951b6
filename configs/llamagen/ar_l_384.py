# LlamaGen-L at 384 pixels, 24x24 tokens, samples resized to 256 (paper Table 4, with an asterisk),
# 342,910,976 parameters: expect FID 3.07, IS 256.06, precision 0.83, recall 0.52.
_base_ = './ar_b_384.py'
model = dict(backbone=dict(dim=1024, num_layers=24, num_heads=16))
