# ViT-VQGAN, base encoder and decoder, ImageNet 256x256, 32x32 tokens, 8192 codes: expect rFID 1.55
# (its paper). Trains for 500,000 iterations at global batch 256, adversarially from the start, with
# the losses of the public code, where the logit-Laplace term has weight 0.
_base_ = [
    '../_base_/tokenizers/vit_vqgan_base.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=0.1)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        adversarial=dict(
            type='Adversarial', discriminator=dict(type='StyleGAN2', image_size=256),
            generator_loss='non_saturating', discriminator_loss='vanilla', weight=0.1,
            # Officially 10 / 2 for pixels in [0, 1]; in [-1, 1] gradients are half as steep.
            regularizers=[dict(type='R1', interval=16, weight=20.0)])))
adamw = dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.99), weight_decay=1e-4)
optim_wrapper = dict(
    dtype='auto', autoencoder=dict(optimizer=adamw), discriminator=dict(optimizer=adamw))
train_cfg = dict(type='IterationLoop', max_iters=500000, val_interval=5000)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=50000, final=0.5, shape='cosine', by_epoch=False)]
# No weight average.
custom_hooks = [
    dict(type='ReconstructionGridHook', num_images=8), dict(type='CodebookUsageHook', window=2048)]
