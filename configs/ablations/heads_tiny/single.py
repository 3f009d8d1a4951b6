# next_sub_token.py with one classifier over the 2^14 codes; its two tables take most of the
# parameters, so the backbone is narrower.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(dim=128, num_layers=4, num_heads=2), head=dict(type='SingleHead'))
