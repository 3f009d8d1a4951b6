# next_sub_token.py with a smaller backbone.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(dim=128, num_layers=4, num_heads=2))
