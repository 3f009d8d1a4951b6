# LlamaGen's transformer of size B over the tokens of configs/llamagen/vq_16.py (docs/reference/specification.md, LlamaGen).
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/llamagen/vq_16/iter_400400.pth',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='padded_conv',
            middle='attention', attention_levels=(4, ), bias=True, out_kernel=3),
        quantizer=dict(type='VQ', codebook_size=16384, code_dim=8, projection=256, l2_norm=True, restart_after=None),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3, upsample='nearest_conv',
            middle='attention', attention_levels=(4, ), bias=True, adaptive_norm=False)),
    factorization=dict(type='TokenFactorization', vocab_sizes=[16384]),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(type='Llama', dim=768, num_layers=12, num_heads=12, dropout=0.1),
    head=dict(type='SingleHead'),
    input_dropout=0.1,
    image_size=256)
