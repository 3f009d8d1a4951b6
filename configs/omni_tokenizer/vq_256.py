# OmniTokenizer-VQ (Wang et al. 2024) for images, ImageNet 256x256, 32x32 tokens, 8192 codes (paper
# Table 3): expect rFID 1.11, the number of the file for ImageNet and UCF-101. Trains for 500,000
# iterations at global batch 256. This is the first stage, on images; that file also had a second
# one, on images and videos.
_base_ = [
    '../_base_/datasets/imagenet_256.py', '../_base_/schedules/tokenizer.py',
    '../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='WindowVitEncoder', patch_size=8, dim=512, num_heads=8, head_dim=64, spatial='ttww',
        temporal='tttt', window=8, positions='rope'),
    quantizer=dict(
        type='VQ', codebook_size=8192, code_dim=8, l2_norm='latent', ema_decay=0.99,
        ema_smoothing=1e-7, data_init=True, restart_after=None),
    decoder=dict(
        type='WindowVitDecoder', patch_size=8, dim=512, num_heads=8, head_dim=64, spatial='tttt',
        temporal='tttt', positions='rope'),
    pixels=dict(type='Pixels', range=(-0.5, 0.5)),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L1Loss', weight=4.0),
            perceptual=dict(type='LPIPSLoss', net='vgg', scale=0.5, weight=4.0)),
        quantizer_losses=dict(commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(
                type='PatchGAN', channels=64, num_layers=3, padding=2, bias=True, noise=True),
            generator_loss='mean', discriminator_loss='hinge', weight=0.01,
            discriminator_weight=0.01, features=4.0)))
optim_wrapper = dict(
    dtype='auto', clip_grad=dict(max_norm=1.0), autoencoder=dict(optimizer=dict(lr=1e-3)),
    discriminator=dict(optimizer=dict(lr=1e-4)))
train_cfg = dict(type='IterationLoop', max_iters=500000, val_interval=5000)
param_scheduler = dict(
    autoencoder=[
        dict(type='WarmupDecayLR', warmup=50000, final=0.05, shape='cosine', by_epoch=False)],
    discriminator=[dict(type='WarmupDecayLR', warmup=500000, by_epoch=False)])
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=[256, 256], interpolation='bicubic')]))
val_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=[256, 256], interpolation='bicubic')]))
# No weight average.
custom_hooks = [
    dict(type='ReconstructionGridHook', num_images=8), dict(type='CodebookUsageHook', window=2048)]
