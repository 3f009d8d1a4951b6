# SD-VQGAN f8 with 256 codes, trained on OpenImages, 32x32 tokens at 256x256: expect rFID 1.49, PSNR
# 22.35 (latent diffusion). 1,608,649 iterations of batch 10 a GPU.
_base_ = './vq_f8_256.py'
model = dict(
    quantizer=dict(codebook_size=256),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=3), weight=dict(weight=0.75), start=250001)))
train_cfg = dict(max_iters=1608649)
