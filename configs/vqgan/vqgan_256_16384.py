# VQGAN f16 with 16,384 codes, ImageNet 256x256, 16x16 tokens: expect rFID 4.98 (repository), with
# about 970 codes in use. The tokenizer of VQGAN's transformer of 1.4 billion parameters. Batch 14,
# and the discriminator plays from the start.
_base_ = './vqgan_256_1024.py'
model = dict(
    quantizer=dict(codebook_size=16384),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=2), weight=dict(weight=0.75), start=0)))
global_batch_size = 14
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=6.3e-5)), discriminator=dict(optimizer=dict(lr=6.3e-5)))
