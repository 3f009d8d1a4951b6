# Paper Table 2, tick 5, the full model: r4_deeper.py with adaptive group norm, which equals
# lfq_128.py. 112,021,653 parameters; expect rFID 1.18.
_base_ = './r4_deeper.py'
model = dict(decoder=dict(adaptive_norm=True))
