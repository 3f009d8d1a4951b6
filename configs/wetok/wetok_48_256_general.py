# WeTok for general images at compression ratio 48: 32x32 tokens of 4 groups of 8 bits.
_base_ = './wetok_192_256_general.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2, 4)), decoder=dict(channel_multipliers=(1, 2, 2, 4)))
