# SD-VQGAN f4 with 8,192 codes, trained on OpenImages, 64x64 tokens at 256x256, without attention:
# expect rFID 1.06, PSNR 25.21 (latent diffusion). 658,131 iterations of batch 8 a GPU.
_base_ = './vq_f4_256.py'
model = dict(
    encoder=dict(middle='plain'),
    decoder=dict(middle='plain'),
    training=dict(adversarial=dict(start=11)))
train_cfg = dict(max_iters=658131)
