# Paper Table 2 at 128x128, the row before the first tick: a learned codebook of 2^10 codes of 256
# channels, average pooling, nearest-neighbor upsampling, two residual blocks per level, and no
# adaptive norm. The paper gives no number; MAGVIT-v2 reports rFID 2.65 for its own model
# (unverified).
_base_ = '../../lfq_128.py'
model = dict(
    encoder=dict(num_res_blocks=2, downsample='avg_pool'),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=1024, code_dim=256, l2_norm=False,
        restart_after=None),
    decoder=dict(num_res_blocks=2, upsample='nearest_conv', adaptive_norm=False))
