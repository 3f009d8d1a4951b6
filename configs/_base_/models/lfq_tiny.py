# A tokenizer for 32-pixel images: 8x8 tokens of 8 bits.
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
        downsample='strided_conv'),
    quantizer=dict(type='LFQ', num_bits=8, temperature=0.01),
    decoder=dict(
        type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
        upsample='depth_to_space', adaptive_norm=True),
    training=dict(
        losses=dict(reconstruction=dict(type='L1Loss', weight=1.0)),
        quantizer_losses=dict(entropy=0.1, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
            weight=0.1,
            regularizers=[dict(type='LeCAM', weight=0.05)])))
