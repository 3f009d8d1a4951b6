# RAR-XXL, ImageNet 256x256, 1,498,520,704 parameters without the tokenizer: expect FID 1.48. A
# wider and deeper rar_b.py.
_base_ = './rar_b.py'
model = dict(backbone=dict(dim=1408, num_layers=40, hidden=6144))
eval_sampling = dict(guidance=8.0, power=1.2, temperature=1.02)
