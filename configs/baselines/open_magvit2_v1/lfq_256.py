# Open-MAGVIT2 v1 ("Base", June 2024), ImageNet 256x256: expect rFID 1.53; 65,490,709 parameters in
# encoder and decoder. Compared with lfq_256.py: two residual blocks per level, no adaptive norm,
# channel 0 as the highest bit of an index, and a LeCAM weight of 0.005. The official length is
# unknown, so the schedule is that of lfq_256.py.
_base_ = '../../lfq_256.py'
model = dict(
    encoder=dict(num_res_blocks=2),
    quantizer=dict(bit_order='msb'),
    decoder=dict(num_res_blocks=2, adaptive_norm=False),
    training=dict(adversarial=dict(regularizers={'0': dict(weight=0.005)})))
