# Tick 5: adaptive group norm.
_base_ = './r4_deeper.py'
model = dict(decoder=dict(adaptive_norm=True))
