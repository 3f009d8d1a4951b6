# Cosmos DI8x8: fsq_di16.py with one downsampling step fewer, so 32x32 tokens. Not in the paper.
_base_ = './fsq_di16.py'
model = dict(encoder=dict(num_downsamples=1), decoder=dict(num_upsamples=1))
