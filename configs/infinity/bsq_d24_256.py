# bsq_d16_256.py with 24 bits per token: expect rFID 0.75, PSNR 22.0.
_base_ = './bsq_d16_256.py'
model = dict(quantizer=dict(quantizer=dict(num_bits=24, entropy_groups=24)))
