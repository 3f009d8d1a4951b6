# Infinity's tokenizer (Han et al. 2025), 256x256, seven maps from 1x1 to 16x16 tokens of 16 bits:
# expect rFID 1.22, PSNR 20.9. Its recipe was not published: this one is that of lfq_256.py, with
# the entropy loss that the official code intends.
_base_ = [
    '../_base_/models/lfq_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    encoder=dict(
        channel_multipliers=(1, 2, 4, 4, 4), num_res_blocks=2, downsample='padded_conv',
        middle='plain', bias=True, out_kernel=3),
    quantizer=dict(
        _delete_=True, type='MultiScale', scales=(1, 2, 4, 6, 8, 12, 16), num_phi=0,
        upsample='bilinear', gradient='scales',
        quantizer=dict(
            type='LFQ', num_bits=16, spherical=True, temperature=0.01, entropy_groups=16,
            entropy_eps=1e-8)),
    decoder=dict(
        channel_multipliers=(1, 2, 4, 4, 4), num_res_blocks=3, upsample='nearest_conv',
        middle='plain', bias=True, adaptive_norm=False),
    training=dict(quantizer_losses=dict(entropy=0.001)))
train_cfg = dict(type='IterationLoop', max_epochs=270, val_interval=5005)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[200, 250], gamma=0.1, by_epoch=True,
        convert_to_iter_based=True)
]
