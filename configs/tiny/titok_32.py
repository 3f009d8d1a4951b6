# The CPU twin of TiTok in one stage: a pair of vision transformers encodes an image as 16 latent
# tokens of 256 codes instead of an 8x8 grid. For trying out code, not for quality. Unlike the
# recipe, and for the sake of 300 iterations, initial weights are as large as those of a wide
# network, unused codes restart, and adversarial training begins with iteration 300.
_base_ = './lfq_32.py'
vit = dict(
    image_size=32, patch_size=4, num_tokens=16, dim=64, num_layers=2, num_heads=4,
    initial_deviation=0.08)
model = dict(
    encoder=dict(_delete_=True, type='LatentVitEncoder', **vit),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=12, l2_norm=True, restart_after=10),
    decoder=dict(_delete_=True, type='LatentVitDecoder', **vit),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(losses=dict(reconstruction=dict(type='L2Loss')), adversarial=dict(start=300)))
optim_wrapper = dict(clip_grad=dict(max_norm=1.0), autoencoder=dict(optimizer=dict(lr=2e-3)))
