# VAR's tokenizer, 256x256: ten maps from 1x1 to 16x16, 680 tokens in all, 4,096 codes. Its training
# code was never released. Losses and learning rates are those of vaex, a single-scale tokenizer by
# the same authors, with a PatchGAN: 250 epochs at global batch 768 (417,250 iterations).
_base_ = [
    '../_base_/tokenizers/var_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
model = dict(
    _delete_=True,
    type='VisualTokenizer',
    encoder=dict(_base_.model.tokenizer.encoder, dropout=0.05),
    quantizer=_base_.model.tokenizer.quantizer,
    decoder=dict(_base_.model.tokenizer.decoder, dropout=0.05),
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
