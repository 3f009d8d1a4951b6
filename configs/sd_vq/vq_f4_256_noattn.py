# vq_f4_256.py without attention: expect rFID 1.06, PSNR 25.21 (latent diffusion). Trains for
# 658,131 iterations at batch 8, the official batch per GPU.
_base_ = './vq_f4_256.py'
model = dict(
    encoder=dict(middle='plain'),
    decoder=dict(middle='plain'),
    training=dict(adversarial=dict(start=11)))
train_cfg = dict(max_iters=658131)
