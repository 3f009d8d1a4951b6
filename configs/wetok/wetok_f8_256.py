# WeTok, ImageNet 256x256, 32x32 tokens of 4 groups of 8 bits. No reconstruction number was
# published for it.
_base_ = './wetok_f16_256.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2, 4)), decoder=dict(channel_multipliers=(1, 2, 2, 4)))
