# A table of 2^10 codes that moves to the running means of its latents; a code unused for 20
# iterations starts again at a latent.
_base_ = './vq_1024.py'
model = dict(quantizer=dict(ema_decay=0.99, restart_after=20))
