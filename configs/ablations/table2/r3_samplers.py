# Paper Table 2, tick 3: r2_large_codebook.py with strided convolutions and depth-to-space.
# 63,571,093 parameters in encoder and decoder; expect rFID 1.56, the number of the official v1
# model, which has these ticks but another LeCAM weight and length.
_base_ = './r2_large_codebook.py'
model = dict(encoder=dict(downsample='strided_conv'), decoder=dict(upsample='depth_to_space'))
