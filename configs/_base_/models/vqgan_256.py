# VQGAN's tokenizer: 16x16 tokens of a learned table (docs/reference/specification.md, VQGAN).
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='padded_conv',
        middle='attention', attention_levels=(4, ), bias=True, out_kernel=3),
    quantizer=dict(
        type='VQ', codebook_size=1024, code_dim=256, projection=256, l2_norm=False, legacy=True, restart_after=None),
    decoder=dict(
        type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3, upsample='nearest_conv',
        middle='attention', attention_levels=(4, ), bias=True, adaptive_norm=False),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=dict(type='AdaptiveWeight', weight=0.8),
            start=250001)))
