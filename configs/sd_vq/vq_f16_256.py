# SD-VQGAN f16, 16x16 tokens at 256x256, 16,384 codes, trained on OpenImages (paper Table 3):
# expect rFID 5.15, PSNR 20.83 (latent diffusion). Trains for 1,101,166 iterations at batch 14, the
# official batch per GPU.
_base_ = './vq_f8_256.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 1, 2, 2, 4), attention_levels=(4,)),
    quantizer=dict(code_dim=8, projection=8),
    decoder=dict(channel_multipliers=(1, 1, 2, 2, 4), attention_levels=(4,)),
    training=dict(adversarial=dict(weight=dict(weight=0.75), start=250001)))
global_batch_size = 14
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=6.3e-5)), discriminator=dict(optimizer=dict(lr=6.3e-5)))
train_cfg = dict(max_iters=1101166)
