# bsq_d16_256.py with 64 bits per token, whose index has four digits: expect rFID 0.33, PSNR 24.9.
_base_ = './bsq_d16_256.py'
model = dict(
    quantizer=dict(quantizer=dict(num_bits=64, index_bits=[16, 16, 16, 16], entropy_groups=64)))
