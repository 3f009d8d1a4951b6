# RAR-XL, ImageNet 256x256, 955,425,024 parameters without the tokenizer: expect FID 1.50. A wider
# and deeper rar_b.py.
_base_ = './rar_b.py'
model = dict(backbone=dict(dim=1280, num_layers=32, hidden=5120))
eval_sampling = dict(guidance=6.9, power=1.5, temperature=1.02)
