# First stage of wetok_768_256_general.py: compression ratio 768, 8x8 tokens of 4 groups of 8 bits,
# and a plain decoder.
_base_ = './wetok_192_256_general.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 1, 2, 2, 4, 8)),
    decoder=dict(channel_multipliers=(1, 1, 2, 2, 4, 8)))
