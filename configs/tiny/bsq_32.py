# The CPU twin of bsq/vit_18_joint_256.py: 8x8 tokens of 8 bits. For trying out code, not for
# quality.
_base_ = './lfq_32.py'
vit = dict(image_size=32, patch_size=4, dim=64, num_layers=2, num_heads=4)
model = dict(
    encoder=dict(_delete_=True, type='PlainVitEncoder', **vit),
    quantizer=dict(
        _delete_=True, type='LFQ', num_bits=8, spherical=True, bit_order='msb', temperature=1.0,
        entropy_groups=2, entropy_eps=1e-8, gradient_scale=8**-0.5),
    decoder=dict(_delete_=True, type='PlainVitDecoder', bound=1.0, **vit),
    training=dict(
        quantizer_losses=dict(
            entropy=dict(_delete_=True, type='LinearWeight', start=0.3, end=0.1, steps=10),
            commitment=None),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='StyleGAN2', image_size=32, widths=(8, 8, 16, 16)),
            discriminator_loss='vanilla', start=10,
            regularizers={'0': dict(_delete_=True, type='R1', interval=4, weight=5.0)})))
