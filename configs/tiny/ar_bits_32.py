# ar_32.py with a head that fills in the 8 bits of a token in 3 steps. For trying out code, not for
# quality.
_base_ = './ar_32.py'
model = dict(
    factorization=dict(bits=[1] * 8),
    head=dict(_delete_=True, type='MaskedBitHead', num_layers=2, steps=3, dropout=0.0))
