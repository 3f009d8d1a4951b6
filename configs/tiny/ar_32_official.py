# ar_32.py in the shape of a small official transformer: 4x4 tokens of 2 + 4 bits, width 64, 2 + 1
# blocks. For tools/convert_checkpoint.py on small files.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(channel_multipliers=(1, 1, 2, 2)), quantizer=dict(num_bits=6),
        decoder=dict(channel_multipliers=(1, 1, 2, 2))),
    factorization=dict(bits=[2, 4]))
