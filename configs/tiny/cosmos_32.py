# The CPU twin of cosmos/fsq_di8.py: 4x4 tokens, 320 codes, on a Haar transform of 4x4 patches.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        channel_multipliers=(1, 2), num_downsamples=1, patch_size=4, patch='haar',
        downsample='padded_conv', middle='attention', bias=True, out_kernel=3),
    quantizer=dict(_delete_=True, type='FSQ', levels=(8, 8, 5), projection=32),
    decoder=dict(
        channel_multipliers=(1, 2), num_res_blocks=2, num_upsamples=1, patch_size=4, patch='haar',
        upsample='nearest_conv', middle='attention', bias=True, adaptive_norm=False),
    training=dict(quantizer_losses=dict(_delete_=True)))
