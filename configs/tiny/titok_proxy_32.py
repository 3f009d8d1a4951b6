# The tokenizer whose codes titok_stage1_32.py predicts: MaskGIT's at the size of lfq_32.py, 8x8
# tokens, 256 codes. 100 iterations, half a minute on one core; for trying out code, not for
# quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(downsample='avg_pool', shortcut='branch'),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=16, l2_norm=False, restart_after=10),
    decoder=dict(upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(adversarial=None))
optim_wrapper = dict(discriminator=None)
train_cfg = dict(max_iters=100)
