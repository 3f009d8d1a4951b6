# next_sub_token.py with sub-tokens predicted independently. The backbone gains the block that the
# intra transformer had, so that the models are of equal size.
_base_ = './next_sub_token.py'
model = dict(backbone=dict(num_layers=6), head=dict(type='SeparateHead'))
