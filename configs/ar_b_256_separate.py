# ar_b_256.py with sub-tokens predicted independently. The paper reports no number for it.
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SeparateHead'))
