# The CPU twin of ar_b_256_single.py: ar_32.py with another head.
_base_ = './ar_32.py'
model = dict(head=dict(type='SingleHead'))
