# next_sub_token.py with one classifier over all 2^14 codes. Its embedding and its classifier hold
# most of the parameters, so the backbone is narrower.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(dim=128, num_layers=4, num_heads=2), head=dict(type='SingleHead'))
