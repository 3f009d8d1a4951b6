# Binary spherical quantization, 14 bits.
_base_ = './bsq_1024.py'
model = dict(quantizer=dict(num_bits=14, entropy_groups=14))
