# RQ-Transformer of 480 M over the 8x8x4 codes of configs/rq/rq_vae_256.py; trained towards the distributions that the codes are drawn from.
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        type='VisualTokenizer',
        checkpoint='work_dirs/rq/rq_vae_256/iter_100100.pth',
        encoder=dict(
            type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4, 4), num_res_blocks=2, downsample='padded_conv',
            middle='attention', attention_levels=(5, ), bias=True, out_kernel=3),
        quantizer=dict(
            type='Residual', depth=4, projection=256,
            quantizer=dict(
                type='VQ', codebook_size=16384, code_dim=256, l2_norm=False, ema_decay=0.99, ema_smoothing=1e-5, restart_below=1.0,
                restart_after=None)),
        decoder=dict(
            type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4, 4), num_res_blocks=3, upsample='nearest_conv',
            middle='attention', attention_levels=(5, ), bias=True, adaptive_norm=False)),
    conditioner=dict(type='ClassLabel', num_classes=1000, null_class=False, dropout=0.0),
    backbone=dict(type='Gpt', dim=1536, num_layers=12, num_heads=24, dropout=0.1),
    head=dict(type='CumulativeCodeHead', num_layers=4, dropout=0.1),
    input_dropout=0.0,
    soft_targets=dict(temperature=0.5),
    image_size=256)
