# Paper Table 2, tick 4: r3_samplers.py with four residual blocks per level. 111,963,285 parameters
# in encoder and decoder.
_base_ = './r3_samplers.py'
model = dict(encoder=dict(num_res_blocks=4), decoder=dict(num_res_blocks=4))
