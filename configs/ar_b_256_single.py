# ar_b_256.py with one classifier over the 2^18 codes (paper Table 6 compares the heads; it names no number for this size).
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SingleHead'))
eval_sampling = dict(guidance=2.0)
