# Open-MAGVIT2 v1 ("Base", June 2024), ImageNet 128x128: expect rFID 1.56; 63,571,093 parameters in
# encoder and decoder. Compared with lfq_128.py: two residual blocks per level, no adaptive norm,
# channel 0 as the highest bit of an index, half the LeCAM weight, and 150 epochs. The official
# learning-rate drops are unknown, so there are none here.
_base_ = '../../lfq_128.py'
model = dict(
    encoder=dict(num_res_blocks=2),
    quantizer=dict(bit_order='msb'),
    decoder=dict(num_res_blocks=2, adaptive_norm=False),
    training=dict(adversarial=dict(regularizers={'0': dict(weight=0.005)})))
train_cfg = dict(max_epochs=150)
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
