# VAR's tokenizer, 256x256: ten maps of 1x1 to 16x16 tokens of 4,096 codes, 680 in all. Its training was never released; losses and rates
# are those of vaex, a single-scale tokenizer of its authors, with a PatchGAN: 250 epochs of global batch 768 = 417,250 iterations.
_base_ = ['../_base_/datasets/imagenet_256.py', '../_base_/schedules/tokenizer.py', '../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='padded_conv',
        middle='attention', attention_levels=(4, ), qkv='joint', bias=True, out_kernel=3, dropout=0.05),
    quantizer=dict(
        type='MultiScale', scales=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16), projection=32, projection_kernel=3,
        quantizer=dict(type='VQ', codebook_size=4096, code_dim=32, l2_norm=False, restart_after=None)),
    decoder=dict(
        type='CnnDecoder', channels=160, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=3, upsample='nearest_conv',
        middle='attention', attention_levels=(4, ), qkv='joint', bias=True, adaptive_norm=False, dropout=0.05),
    training=dict(
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0), l1=dict(type='L1Loss', weight=0.2),
            perceptual=dict(type='LPIPSLoss', net='vgg', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='PatchGAN', channels=64, num_layers=3),
            generator_loss='mean',
            discriminator_loss='hinge',
            weight=dict(type='AdaptiveWeight', weight=0.4, low=0.015),
            start=91795)))
global_batch_size = 768
optim_wrapper = dict(
    clip_grad=dict(max_norm=10.0),
    autoencoder=dict(optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.005)),
    discriminator=dict(optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.005)))
train_cfg = dict(type='IterationLoop', max_epochs=250, val_interval=16690)
param_scheduler = [dict(type='WarmupDecayLR', shape='cosine', final=0.3, by_epoch=False)]
custom_hooks = {'0': dict(momentum=0.0001)}
