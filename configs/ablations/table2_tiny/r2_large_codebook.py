# Tick 2: 2^14 codes.
_base_ = './r1_lfq.py'
model = dict(quantizer=dict(num_bits=14))
