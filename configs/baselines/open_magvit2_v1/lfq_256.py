# Open-MAGVIT2 v1 ("Base", June 2024), ImageNet 256x256: expect rFID 1.53; 65,490,709 parameters in
# encoder and decoder. Two residual blocks a level, no adaptive norm, channel 0 the highest bit of
# an index. The official length is not known: that of lfq_256.py here.
_base_ = '../../lfq_256.py'
model = dict(
    encoder=dict(num_res_blocks=2),
    quantizer=dict(bit_order='msb'),
    decoder=dict(num_res_blocks=2, adaptive_norm=False),
    training=dict(adversarial=dict(regularizers={'0': dict(weight=0.005)})))
