# The paper's 256-pixel tokenizer: 16x16 tokens of 18 bits (docs/reference/specification.md,
# Tokenizer recipes).
model = dict(
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, downsample='strided_conv'),
    quantizer=dict(type='LFQ', num_bits=18, temperature=0.01),
    decoder=dict(
        type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=4, upsample='depth_to_space',
        adaptive_norm=True),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(entropy=0.1, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='non_saturating',
            discriminator_loss='hinge',
            weight=0.1,
            regularizers=[dict(type='LeCAM', weight=0.05)])))
