# next_sub_token.py with a larger backbone.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(dim=320, num_layers=5, num_heads=5))
