# Tick 4: two residual blocks per level instead of one.
_base_ = './r3_samplers.py'
model = dict(encoder=dict(num_res_blocks=2), decoder=dict(num_res_blocks=2))
