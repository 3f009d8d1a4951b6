# Finite scalar quantization, 2^10 codes.
_base_ = './vq_1024.py'
model = dict(quantizer=dict(_delete_=True, type='FSQ', levels=(8, 8, 4, 4)))
