# AR-XL, ImageNet 256x256, 1,486,679,040 parameters without the tokenizer (paper Table 4):
# expect FID 2.33, IS 271.77, precision 0.84, recall 0.54. Trains for 350 epochs at global batch 768
# (584,150 iterations), including 7 epochs of warm-up. The peak learning rate is 2.4e-4 as in the
# official code; the paper's rule (1e-4 per 256 images) would give 3e-4.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1536, num_layers=48, num_heads=24), head=dict(num_layers=4))
optim_wrapper = dict(transformer=dict(optimizer=dict(lr=2.4e-4)))
train_cfg = dict(max_epochs=350)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=11683, warmup_start=0.005, hold=0.05, final=0.1,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=[1.75, 1.85], temperature=[1.1, 1.0])
