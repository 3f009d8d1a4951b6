# LlamaGen-XXL at 256 pixels, 1,410,972,672 parameters without the tokenizer (paper Table 4):
# expect FID 3.09, IS 253.61, precision 0.83, recall 0.53. Neither its weights nor its guidance
# scale was published.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1536, num_layers=48, num_heads=24))
global_batch_size = 512
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2e-4)))
train_cfg = dict(val_interval=2503)
eval_sampling = dict(guidance=1.75)
