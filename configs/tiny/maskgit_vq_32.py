# The CPU twin of maskgit/vq_256.py: 8x8 tokens, 256 codes, with the losses of that recipe, except
# the classifier's. In so short a training the entropy alone leaves three quarters of the codes
# unused, so the twin also restarts them. For trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(downsample='avg_pool', shortcut='branch'),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=16, l2_norm=False, restart_after=10,
        entropy=True, entropy_temperature=0.01),
    decoder=dict(upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss')),
        quantizer_losses=dict(codebook=1.0),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='StyleGAN', image_size=32, channels=16,
                channel_multipliers=(2, 2, 4)),
            generator_loss='non_saturating', discriminator_loss='non_saturating',
            regularizers=[dict(type='R1', weight=40.0)])))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(betas=(0.0, 0.99))),
    discriminator=dict(optimizer=dict(betas=(0.0, 0.99))))
