# next_sub_token.py with independent sub-tokens; the block of the intra transformer goes to the
# backbone, so that the sizes are equal.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(num_layers=6), head=dict(type='SeparateHead'))
