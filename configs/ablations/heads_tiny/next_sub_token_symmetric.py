# next_sub_token.py with a symmetric split into 7 + 7 bits.
_base_ = './next_sub_token.py'
model = dict(factorization=dict(bits=[7, 7]))
