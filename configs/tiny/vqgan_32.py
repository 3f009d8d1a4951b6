# The CPU twin of VQGAN: lfq_32.py with 8x8 tokens from a codebook of 256 codes. As in its recipe,
# nothing restarts codes or spreads them, so few are in use. A few seconds on two cores; for trying
# out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
        out_kernel=3),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=16, projection=16, l2_norm=False,
        legacy=True, restart_after=None),
    decoder=dict(
        num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
        bias=True, adaptive_norm=False),
    training=dict(
        quantizer_losses=dict(_delete_=True, codebook=1.0, commitment=0.25),
        adversarial=dict(
            generator_loss='mean', weight=dict(_delete_=True, type='AdaptiveWeight', weight=0.8),
            start=2, regularizers=[])))
