# AR-L, ImageNet 256x256, 804,362,240 parameters without the tokenizer (paper Table 4):
# expect FID 2.51, IS 271.70, precision 0.84, recall 0.54. The schedule is that of ar_b_256.py.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1280, num_layers=36, num_heads=20), head=dict(num_layers=3))
eval_sampling = dict(guidance=[1.9, 1.9], temperature=[1.1, 1.0])
