# The CPU twin of vit_vqgan/base.py: 8x8 tokens, 256 codes; unlike in the recipe, unused codes
# restart. For trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        _delete_=True, type='VitEncoder', image_size=32, patch_size=4, dim=64, num_layers=2,
        num_heads=2, head_dim=24, hidden=128),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=8, l2_norm=True, raw_gradient=True,
        restart_after=10),
    decoder=dict(
        _delete_=True, type='VitDecoder', image_size=32, patch_size=4, dim=64, num_layers=2,
        num_heads=2, head_dim=24, hidden=128),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss')),
        adversarial=dict(
            discriminator=dict(
                _delete_=True, type='StyleGAN2', image_size=32, widths=(8, 8, 16, 16)),
            discriminator_loss='vanilla', start=10,
            regularizers={'0': dict(_delete_=True, type='R1', interval=4, weight=20.0)})))
