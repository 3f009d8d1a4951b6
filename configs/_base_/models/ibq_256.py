# IBQ's tokenizer: 16x16 tokens of a learned table (docs/reference/specification.md, Index backpropagation).
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, downsample='padded_conv',
        middle='attention', attention_levels=(4, ), bias=True, out_kernel=3),
    quantizer=dict(type='IBQ', codebook_size=16384, code_dim=256, projection=256, temperature=0.01),
    decoder=dict(
        type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=5, upsample='nearest_conv',
        middle='attention', attention_levels=(4, ), bias=True, adaptive_norm=False),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(propagation=1.0, commitment=1.0, codebook=0.25, entropy=0.05),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='non_saturating',
            discriminator_loss='hinge',
            weight=0.1,
            first='discriminator',
            regularizers=[dict(type='LeCAM', weight=0.05)])))
