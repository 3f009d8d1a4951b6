# LlamaGen-XL at 384 pixels, 24x24 tokens, samples resized to 256 (paper Table 4, with an asterisk),
# 774,699,520 parameters: expect FID 2.62, IS 244.08, precision 0.80, recall 0.57.
_base_ = './ar_b_384.py'
model = dict(backbone=dict(dim=1280, num_layers=36, num_heads=20))
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2e-4)))
eval_sampling = dict(guidance=1.75)
