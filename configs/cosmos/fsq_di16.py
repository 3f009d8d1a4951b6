# Cosmos DI16x16, 16x16 tokens, 64,000 codes (paper Table 5): expect rFID 4.57, PSNR 19.93, SSIM
# 0.49 on ImageNet at 256x256. For evaluating the official weights: Cosmos' training recipe for
# images is not public, so the recipe is Open-MAGVIT2's.
_base_ = '../lfq_256.py'
model = dict(
    encoder=dict(
        channel_multipliers=(2, 4, 4), num_res_blocks=2, num_downsamples=2, patch_size=4,
        patch='haar', downsample='padded_conv', middle='attention', bias=True, out_kernel=3),
    quantizer=dict(_delete_=True, type='FSQ', levels=(8, 8, 8, 5, 5, 5), projection=256),
    decoder=dict(
        channel_multipliers=(2, 4, 4), num_res_blocks=3, num_upsamples=2, patch_size=4,
        patch='haar', upsample='nearest_conv', middle='attention', bias=True, adaptive_norm=False),
    training=dict(quantizer_losses=dict(_delete_=True)))
