# MaskGIT's tokenizer, ImageNet 256x256, 16x16 tokens, 1024 codes: expect rFID 2.28 (repository).
# Trains for 1,000,000 iterations at global batch 256 with a constant learning rate, adversarially
# from the start. As in the official code, the L2 loss sees pixels in [0, 1]. The discriminator sees
# images in [-1, 1], where gradients are half as steep, so R1 has four times its official weight.
_base_ = [
    '../_base_/models/maskgit_proxy_256.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    quantizer=dict(entropy=True, entropy_temperature=0.01),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='ClassifierLoss', model='resnet50', of='features', weight=0.1)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25, entropy=0.1),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(
                type='StyleGAN', image_size=256, channels=64,
                channel_multipliers=(2, 4, 8, 8, 8, 8)),
            generator_loss='non_saturating', discriminator_loss='non_saturating', weight=0.1,
            regularizers=[dict(type='R1', weight=40.0)])))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(betas=(0.0, 0.99))),
    discriminator=dict(optimizer=dict(betas=(0.0, 0.99))))
train_cfg = dict(type='IterationLoop', max_iters=1000000, val_interval=5000)
