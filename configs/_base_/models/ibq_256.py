# IBQ's tokenizer: 16x16 tokens from a learned codebook (docs/reference/specification.md, Index
# backpropagation).
_base_ = '../tokenizers/ibq_256.py'
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(propagation=1.0, commitment=1.0, codebook=0.25, entropy=0.05),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='non_saturating',
            discriminator_loss='hinge',
            weight=0.1,
            first='discriminator',
            regularizers=[dict(type='LeCAM', weight=0.05)])))
