# vit_18_256.py with 36 bits per token, whose index has two digits: expect rFID 0.41, PSNR 27.88.
_base_ = './vit_18_256.py'
model = dict(
    quantizer=dict(num_bits=36, index_bits=[18, 18], entropy_groups=36, gradient_scale=36**-0.5))
