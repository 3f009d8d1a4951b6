# ar_b_256.py with independent sub-tokens (paper Table 6 compares the heads; it names no number for this size).
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SeparateHead'))
