# ar_b_256.py with independent sub-tokens. No number of the paper belongs to it.
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SeparateHead'))
