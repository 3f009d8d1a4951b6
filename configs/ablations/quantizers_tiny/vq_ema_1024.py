# A codebook of 2^10 codes that follows moving averages of the latents. A code that goes unused for
# 20 iterations restarts at a latent.
_base_ = './vq_1024.py'
model = dict(quantizer=dict(ema_decay=0.99, restart_after=20))
