# VQGAN f16, the tokenizer of VQGAN's transformer with 1.4 billion parameters, ImageNet 256x256,
# 16x16 tokens, 16,384 codes, of which about 970 are in use: expect rFID 4.98 (repository). Trains
# at batch 14, adversarially from the start.
_base_ = './vqgan_256_1024.py'
model = dict(
    quantizer=dict(codebook_size=16384),
    training=dict(
        adversarial=dict(discriminator=dict(num_layers=2), weight=dict(weight=0.75), start=0)))
global_batch_size = 14
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=6.3e-5)), discriminator=dict(optimizer=dict(lr=6.3e-5)))
