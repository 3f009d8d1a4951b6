# ar_32.py over the 16 latent tokens of titok_32.py: a sequence without rows and columns, whose
# length the tokenizer sets.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            _delete_=True, type='LatentVitEncoder', image_size=32, patch_size=4, num_tokens=16,
            dim=64, num_layers=2, num_heads=4, initial_deviation=0.08),
        quantizer=dict(
            _delete_=True, type='VQ', codebook_size=256, code_dim=12, l2_norm=True,
            restart_after=10),
        decoder=dict(
            _delete_=True, type='LatentVitDecoder', image_size=32, patch_size=4, num_tokens=16,
            dim=64, num_layers=2, num_heads=4, initial_deviation=0.08)),
    image_size=None)
