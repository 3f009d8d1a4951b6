# Cosmos DI8x8: fsq_di16.py with one sampler less, so 32x32 tokens. The paper has no row of it.
_base_ = './fsq_di16.py'
model = dict(encoder=dict(num_downsamples=1), decoder=dict(num_upsamples=1))
