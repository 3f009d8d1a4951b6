# vq_f8_256.py with 256 codes, a deeper discriminator and adversarial training only after 250,001
# iterations: expect rFID 1.49, PSNR 22.35 (latent diffusion). Trains for 1,608,649 iterations at
# batch 10, the official batch per GPU.
_base_ = './vq_f8_256.py'
model = dict(
    quantizer=dict(codebook_size=256),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=3), weight=dict(weight=0.75), start=250001)))
train_cfg = dict(max_iters=1608649)
