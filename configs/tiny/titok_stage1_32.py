# The CPU twin of titok/s128_stage1.py: 16 latent tokens, trained to predict the 64 codes of
# titok_proxy_32.py. Without the proxy's checkpoint, these come from seeded RANDOM weights. For
# trying out code, not for quality.
_base_ = './titok_32.py'
model = dict(
    encoder=dict(legacy_reshape=True),
    decoder=dict(output='codes'),
    pixels=dict(
        type='CodePixels',
        range=(0, 1),
        tokenizer=dict(
            type='VisualTokenizer',
            checkpoint=None,
            seed=0,
            encoder=dict(
                type='CnnEncoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
                downsample='avg_pool', shortcut='branch'),
            quantizer=dict(
                type='VQ', codebook_size=256, code_dim=16, l2_norm=False, restart_after=10),
            decoder=dict(
                type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
                upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
            pixels=dict(type='Pixels', range=(0, 1)))),
    training=dict(losses=dict(reconstruction=dict(type='CodeCrossEntropy')), adversarial=None))
optim_wrapper = dict(discriminator=None)
