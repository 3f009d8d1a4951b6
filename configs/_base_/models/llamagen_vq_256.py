# LlamaGen's tokenizer: 16x16 tokens of unit vectors (docs/reference/specification.md, LlamaGen).
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='padded_conv',
        middle='attention', attention_levels=(4, ), bias=True, out_kernel=3),
    quantizer=dict(type='VQ', codebook_size=16384, code_dim=8, projection=256, l2_norm=True, restart_after=None),
    decoder=dict(
        type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3, upsample='nearest_conv',
        middle='attention', attention_levels=(4, ), bias=True, adaptive_norm=False),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        # The 20,000th iteration is the first with a game, and both losses have the factor.
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=0.5,
            discriminator_weight=0.5,
            start=19999)))
