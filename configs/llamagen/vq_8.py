# LlamaGen VQ-8, ImageNet 256x256, 32x32 tokens, 16,384 unit vectors of 8 channels (paper Table 3):
# expect rFID 0.59, PSNR 24.45. The recipe is that of vq_16.py.
_base_ = './vq_16.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2, 4), attention_levels=(3,)),
    decoder=dict(channel_multipliers=(1, 2, 2, 4), attention_levels=(3,)))
