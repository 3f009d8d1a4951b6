# ar_b_256.py with one classifier over the 2^18 codes. No number of the paper belongs to it.
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SingleHead'))
eval_sampling = dict(guidance=2.0)
