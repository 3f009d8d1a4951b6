# The paper's 256-pixel tokenizer: 16x16 tokens of 18 bits (docs/reference/specification.md,
# Tokenizer recipes).
_base_ = '../tokenizers/lfq_256.py'
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(entropy=0.1, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='non_saturating',
            discriminator_loss='hinge',
            weight=0.1,
            regularizers=[dict(type='LeCAM', weight=0.05)])))
