# LlamaGen's tokenizer: 16x16 tokens from a codebook of unit vectors
# (docs/reference/specification.md, LlamaGen).
_base_ = '../tokenizers/llamagen_256.py'
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        # Adversarial training starts with the 20,000th iteration, and the factor of 0.5 applies to
        # the losses of both sides.
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=0.5,
            discriminator_weight=0.5,
            start=19999)))
