# TiTok-BL-64, trained in one stage, ImageNet 256x256, 64 tokens, 8192 codes: expect rFID 2.06
# (repository). The repository has no training config for this model, so the recipe is its recipe
# for TA-TiTok: 650,000 iterations at global batch 256, adversarial from iteration 200,000.
_base_ = [
    '../_base_/datasets/imagenet_256_flip.py', '../_base_/schedules/titok.py',
    '../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='LatentVitEncoder', image_size=256, patch_size=16, num_tokens=64, dim=768,
        num_layers=12, num_heads=12),
    quantizer=dict(type='VQ', codebook_size=8192, code_dim=64, l2_norm=False, restart_after=None),
    decoder=dict(
        type='LatentVitDecoder', image_size=256, patch_size=16, num_tokens=64, dim=1024,
        num_layers=24, num_heads=16),
    pixels=dict(type='Pixels', range=(0, 1)),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0),
            classifier=dict(type='ClassifierLoss', model='convnext_small', weight=0.1)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='BlurPatchGAN', channels=128, num_stages=3, blur=4, pool=16),
            generator_loss='mean', discriminator_loss='hinge', weight=0.1, start=200000,
            regularizers=[dict(type='LeCAM', of='mean', weight=0.001)])))
adamw = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4)
optim_wrapper = dict(
    autoencoder=dict(optimizer=adamw),
    discriminator=dict(_delete_=True, no_decay_1d=True, optimizer=adamw))
train_cfg = dict(type='IterationLoop', max_iters=650000, val_interval=5000)
cosine = dict(type='WarmupDecayLR', warmup=10000, final=0.1, shape='cosine', by_epoch=False)
param_scheduler = dict(autoencoder=[cosine], discriminator=[dict(begin=200000, **cosine)])
