# SD-VQGAN f8, 32x32 tokens at 256x256, 16,384 codes, trained on OpenImages: expect rFID 1.14, PSNR
# 23.07 (latent diffusion), or 1.19, 23.38 (LlamaGen). These are the two rows of paper Table 3 with
# a dagger: one file, two protocols. Trains for 971,043 iterations at batch 10, the official batch
# per GPU.
_base_ = '../vqgan/vqgan_256_1024.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2, 4), attention_levels=(3,)),
    quantizer=dict(codebook_size=16384, code_dim=4, projection=4),
    decoder=dict(channel_multipliers=(1, 2, 2, 4), attention_levels=(3,)),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=2), weight=dict(weight=0.6), start=1)))
global_batch_size = 10
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=384), dict(type='RandomCrop', size=256)]))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=4.5e-5)), discriminator=dict(optimizer=dict(lr=4.5e-5)))
train_cfg = dict(_delete_=True, type='IterationLoop', max_iters=971043, val_interval=10000)
