# Finite scalar quantization, 2^14 codes.
_base_ = './fsq_1024.py'
model = dict(quantizer=dict(levels=(8, 8, 8, 8, 4)))
