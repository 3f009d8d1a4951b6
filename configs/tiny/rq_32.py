# The CPU twin of RQ-VAE: lfq_32.py with 8x8 tokens that are sums of four codes from one codebook of
# 256, which follows moving averages. A few seconds on two cores; for trying out code, not for
# quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
        out_kernel=3),
    quantizer=dict(
        _delete_=True, type='Residual', depth=4, projection=16,
        quantizer=dict(
            type='VQ', codebook_size=256, code_dim=16, l2_norm=False, ema_decay=0.99,
            ema_smoothing=1e-5, restart_below=1.0, restart_after=None)),
    decoder=dict(
        num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
        bias=True, adaptive_norm=False),
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss')),
        adversarial=dict(
            generator_loss='mean', weight=dict(_delete_=True, type='AdaptiveWeight', weight=0.75),
            discriminator_weight=0.75, regularizers=[])))
