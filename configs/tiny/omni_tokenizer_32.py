# The CPU twin of omni_tokenizer/vq_256.py: 8x8 tokens, 256 codes. For trying out code, not for
# quality.
_base_ = './lfq_32.py'
vit = dict(patch_size=4, dim=64, num_heads=2, head_dim=24, temporal='t', positions='rope')
model = dict(
    encoder=dict(_delete_=True, type='WindowVitEncoder', spatial='tw', window=4, **vit),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=8, l2_norm='latent', ema_decay=0.9,
        ema_smoothing=1e-7, data_init=True, restart_after=None),
    decoder=dict(_delete_=True, type='WindowVitDecoder', spatial='tt', **vit),
    pixels=dict(type='Pixels', range=(-0.5, 0.5)),
    training=dict(
        losses=dict(reconstruction=dict(weight=4.0)),
        adversarial=dict(
            discriminator=dict(padding=2, bias=True, noise=True), generator_loss='mean',
            weight=0.01, discriminator_weight=0.01, features=4.0, start=10, regularizers=[])))
