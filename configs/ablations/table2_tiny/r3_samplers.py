# Tick 3: strided convolutions and depth-to-space.
_base_ = './r2_large_codebook.py'
model = dict(encoder=dict(downsample='strided_conv'), decoder=dict(upsample='depth_to_space'))
