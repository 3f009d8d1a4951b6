# The CPU twin of magvit2/lfq_128.py: lfq_32.py with the losses of that recipe, except the
# classifier's. For trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss', weight=0.25)),
        quantizer_losses=dict(entropy=dict(type='LinearWeight', start=0.3, end=0.1, steps=10)),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='StyleGAN', image_size=32, channels=16,
                channel_multipliers=(2, 2, 4)),
            discriminator_loss='non_saturating',
            regularizers=[
                dict(type='LeCAM', of='mean', weight=0.001), dict(type='R1', weight=40.0)])))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(betas=(0.0, 0.99))),
    discriminator=dict(optimizer=dict(betas=(0.0, 0.99))))
