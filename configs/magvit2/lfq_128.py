# MAGVIT-v2's own recipe for the networks of ../lfq_128.py (paper Table 2, last row, MAGVIT2):
# expect rFID 1.15. Trains for 270 epochs at global batch 256 (1,351,350 iterations), with one epoch
# of warm-up and a cosine to 0, adversarially from the start. Its pixels are in [0, 1], ours in
# [-1, 1], so the weight of L2 is a quarter and that of R1 four times the original.
_base_ = '../lfq_128.py'
model = dict(
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=0.25),
            perceptual=dict(
                _delete_=True, type='ClassifierLoss', model='resnet50', of='logits', weight=0.1)),
        quantizer_losses=dict(entropy=dict(type='LinearWeight', start=0.3, end=0.1, steps=2000)),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='StyleGAN', image_size=128, channels=128,
                channel_multipliers=(2, 4, 4, 4, 4)),
            discriminator_loss='non_saturating',
            regularizers=[
                dict(type='LeCAM', of='mean', weight=0.001), dict(type='R1', weight=40.0)])))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(betas=(0.0, 0.99))),
    discriminator=dict(optimizer=dict(betas=(0.0, 0.99))))
train_cfg = dict(max_epochs=270)
param_scheduler = [dict(type='WarmupDecayLR', warmup=5005, shape='cosine', by_epoch=False)]
