# LlamaGen-XL at 256 pixels, 774,699,520 parameters without the tokenizer (paper Table 4):
# expect FID 3.39, IS 227.08, precision 0.81, recall 0.54. Neither its weights nor its guidance
# scale was published.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1280, num_layers=36, num_heads=20))
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2e-4)))
eval_sampling = dict(guidance=1.75)
