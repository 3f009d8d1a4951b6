# Paper Table 2, the row before its first tick, at 128x128: a learned table of 2^10 codes of 256
# channels, average pooling and nearest-neighbour upsampling, two residual blocks, no adaptive norm.
# MAGVIT-v2 reports rFID 2.65 for its own (from memory, unsure); the paper gives none.
_base_ = '../../lfq_128.py'
model = dict(
    encoder=dict(num_res_blocks=2, downsample='avg_pool'),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=1024, code_dim=256, l2_norm=False,
        restart_after=None),
    decoder=dict(num_res_blocks=2, upsample='nearest_conv', adaptive_norm=False))
