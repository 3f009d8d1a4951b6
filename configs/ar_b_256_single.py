# ar_b_256.py with one classifier over all 2^18 codes. The paper reports no number for it.
_base_ = './ar_b_256.py'
model = dict(head=dict(type='SingleHead'))
eval_sampling = dict(guidance=2.0)
