# RQ-VAE (Lee et al. 2022), the tokenizer of RQ-Transformer (paper Table 4), ImageNet 256x256, 8x8
# tokens of 4 codes from one codebook of 16,384: expect rFID 4.73. Trains for 10 epochs at global
# batch 128 (100,100 iterations), with half an epoch of warm-up, then a constant learning rate;
# images are flipped at random.
_base_ = [
    '../_base_/tokenizers/rq_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss'), perceptual=dict(type='LPIPSLoss', net='vgg')),
        quantizer_losses=dict(commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=2),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=dict(type='AdaptiveWeight', weight=0.75),
            discriminator_weight=0.75)))
global_batch_size = 128
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256), dict(type='RandomCrop', size=256),
            dict(type='RandomFlip', prob=0.5)]))
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=4e-5)), discriminator=dict(optimizer=dict(lr=4e-5)))
train_cfg = dict(type='IterationLoop', max_epochs=10, val_interval=10010)
param_scheduler = [dict(type='WarmupDecayLR', warmup=5005, shape='constant', by_epoch=False)]
# No weight average.
custom_hooks = [
    dict(type='ReconstructionGridHook', num_images=8), dict(type='CodebookUsageHook', window=2048)]
