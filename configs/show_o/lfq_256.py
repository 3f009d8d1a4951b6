# Show-o's tokenizer, 16x16 tokens of 13 bits (paper Table 5): expect rFID 3.50, PSNR 21.34, SSIM
# 0.59 on ImageNet at 256x256. For evaluating the official weights: Show-o's training recipe is not
# public, so everything but the losses of its quantizer is Open-MAGVIT2's.
_base_ = '../lfq_256.py'
model = dict(
    encoder=dict(
        channel_multipliers=(1, 2, 2, 4, 4), num_res_blocks=(4, 3, 4, 3, 4),
        downsample='padded_conv', middle='attention', bias=True, out_kernel=3),
    # One entropy group per bit.
    quantizer=dict(
        num_bits=13, bit_order='msb', temperature=1.0, entropy_groups=13, entropy_eps=0.0,
        projection=13),
    decoder=dict(
        num_res_blocks=(4, 4, 3, 4, 3), upsample='nearest_conv', middle='attention', bias=True,
        adaptive_norm=False),
    # The official entropies are means over bits, ours are sums. The gradient of the official
    # commitment is that of a weight of 0.1 (1 - 0.25).
    training=dict(quantizer_losses=dict(entropy=0.1 / 13, commitment=0.075)))
