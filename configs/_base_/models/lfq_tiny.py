# A tokenizer of 8x8 tokens of 8 bits for 32-pixel images.
model = dict(
    type='VisualTokenizer',
    encoder=dict(type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, downsample='strided_conv'),
    quantizer=dict(type='LFQ', num_bits=8, temperature=0.01),
    decoder=dict(
        type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1, upsample='depth_to_space',
        adaptive_norm=True),
    discriminator=dict(type='PatchGAN', channels=16, num_layers=2),
    perceptual_loss=None,
    adversarial_weight=0.1,
    lecam_weight=0.05)
