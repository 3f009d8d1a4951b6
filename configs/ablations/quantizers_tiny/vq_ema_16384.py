# vq_ema_1024.py with 2^14 codes.
_base_ = './vq_ema_1024.py'
model = dict(quantizer=dict(codebook_size=16384))
