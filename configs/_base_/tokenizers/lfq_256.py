# Networks of the paper's 256-pixel tokenizer: 16x16 tokens of 18 bits.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4,
            downsample='strided_conv'),
        quantizer=dict(type='LFQ', num_bits=18, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4,
            upsample='depth_to_space', adaptive_norm=True)))
