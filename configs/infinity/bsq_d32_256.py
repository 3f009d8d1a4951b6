# bsq_d16_256.py with 32 bits per token, whose index has two digits: expect rFID 0.61, PSNR 22.7.
_base_ = './bsq_d16_256.py'
model = dict(quantizer=dict(quantizer=dict(num_bits=32, index_bits=[16, 16], entropy_groups=32)))
