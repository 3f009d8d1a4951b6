# LlamaGen-L at 256 pixels, 342,910,976 parameters without the tokenizer (paper Table 4):
# expect FID 3.80, IS 248.28, precision 0.83, recall 0.51. The guidance scale of this row was never
# published; 1.75 is a guess, because 2.0 gives IS 288.
_base_ = './ar_b_256.py'
model = dict(backbone=dict(dim=1024, num_layers=24, num_heads=16))
eval_sampling = dict(guidance=1.75)
