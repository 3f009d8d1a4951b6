# The paper's B transformer over 16x16 tokens of 6 + 12 bits, on the tokenizer of lfq_256.py.
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/lfq_256/iter_1351350.pth',
        encoder=dict(type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, downsample='strided_conv'),
        quantizer=dict(type='LFQ', num_bits=18, temperature=0.01),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, upsample='depth_to_space',
            adaptive_norm=True)),
    factorization=dict(type='TokenFactorization', bits=[6, 12]),
    backbone=dict(type='Llama', dim=1024, num_layers=24, num_heads=16),
    head=dict(type='NextSubTokenHead', num_layers=2),
    conditioner=dict(type='ClassLabel', num_classes=1000),
    image_size=256)
