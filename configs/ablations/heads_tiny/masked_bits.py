# next_sub_token.py with 14 single bits, filled in over 4 steps. A small network of the same size
# replaces the intra transformer.
_base_ = './next_sub_token.py'
model = dict(
    factorization=dict(bits=[1] * 14),
    head=dict(_delete_=True, type='MaskedBitHead', num_layers=4, steps=4))
