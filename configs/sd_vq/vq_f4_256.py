# SD-VQGAN f4, the tokenizer of LDM-4 (paper Table 4), 64x64 tokens at 256x256, 8,192 codes,
# attention in the middle alone, trained on OpenImages: expect rFID 0.58, PSNR 27.43 (latent
# diffusion). Trains for 533,066 iterations at batch 8, the official batch per GPU.
_base_ = './vq_f8_256.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 4), attention_levels=()),
    quantizer=dict(codebook_size=8192, code_dim=3, projection=3),
    decoder=dict(channel_multipliers=(1, 2, 4), attention_levels=()),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=3), weight=dict(weight=0.75), start=0)))
global_batch_size = 8
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=256), dict(type='RandomCrop', size=256)]))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=3.6e-5)), discriminator=dict(optimizer=dict(lr=3.6e-5)))
train_cfg = dict(max_iters=533066)
