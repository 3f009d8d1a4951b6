# The CPU twin of TiTok: lfq_32.py with 16 latent tokens of 8 bits for an image instead of an 8x8 grid, by a pair of vision transformers.
# For trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        _delete_=True, type='LatentVitEncoder', image_size=32, patch_size=4, num_tokens=16, dim=64, num_layers=2, num_heads=4),
    quantizer=dict(_delete_=True, type='VQ', codebook_size=256, code_dim=12, l2_norm=True, restart_after=None),
    decoder=dict(
        _delete_=True, type='LatentVitDecoder', image_size=32, patch_size=4, num_tokens=16, dim=64, num_layers=2, num_heads=4))
