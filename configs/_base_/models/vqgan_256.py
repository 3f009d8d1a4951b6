# VQGAN's tokenizer: 16x16 tokens from a learned codebook (docs/reference/specification.md, VQGAN).
_base_ = '../tokenizers/vqgan_256.py'
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=dict(type='AdaptiveWeight', weight=0.8),
            start=250001)))
