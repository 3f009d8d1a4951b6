# LlamaGen-XXL at 384 pixels, 24x24 tokens, samples resized to 256 (paper Table 4, with an
# asterisk), 1,410,972,672 parameters: expect FID 2.34, IS 253.90, precision 0.80, recall 0.59.
_base_ = './ar_b_384.py'
model = dict(backbone=dict(dim=1536, num_layers=48, num_heads=24))
global_batch_size = 512
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2e-4)))
train_cfg = dict(val_interval=2503)
eval_sampling = dict(guidance=1.75)
