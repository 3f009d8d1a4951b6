# The CPU twin of titok/s128.py: the decoder of titok_stage1_32.py learns pixels through the decoder
# of titok_proxy_32.py. Set model.training.start.checkpoint to the checkpoint of the first stage;
# without it, all parts start from random weights. Nothing is frozen, so that it trains in that
# case, too.
_base_ = './titok_32.py'
model = dict(
    encoder=dict(legacy_reshape=True),
    decoder=dict(
        proxy=(256, 16),
        proxy_decoder=dict(
            type='CnnDecoder', channels=32, channel_multipliers=(1, 1, 2), num_res_blocks=1,
            upsample='nearest_conv', adaptive_norm=False, shortcut='branch')),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(
        start=dict(
            checkpoint=None,
            rename={'pixels.tokenizer.decoder.': 'decoder.head.decoder.',
                    'pixels.tokenizer.quantizer.embedding.weight': 'decoder.head.table'}),
        losses=dict(reconstruction=dict(type='L2Loss')),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='BlurPatchGAN', channels=32, num_stages=2, pool=4),
            generator_loss='mean',
            weight=0.01, regularizers=[dict(type='LeCAM', of='mean', weight=0.001)])))
