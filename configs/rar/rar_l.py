# RAR-L, ImageNet 256x256, 461,668,352 parameters without the tokenizer: expect FID 1.70. A wider
# rar_b.py.
_base_ = './rar_b.py'
model = dict(backbone=dict(dim=1024, num_layers=24, hidden=4096))
eval_sampling = dict(guidance=15.5, power=2.5, temperature=1.02)
