# TiTok-S-128, second stage, ImageNet 256x256, 128 tokens, 4096 codes (paper Table 3):
# expect rFID 1.71. Encoder and codebook are frozen; the decoder learns pixels through MaskGIT's
# decoder. Trains for 500,000 iterations at global batch 256, adversarially after the first 20,000.
_base_ = [
    '../_base_/tokenizers/titok_s128.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/titok.py', '../_base_/runtime.py'
]
model = dict(
    _delete_=True, **_base_.model.tokenizer,
    training=dict(
        freeze=('encoder', 'quantizer'),
        start=dict(
            checkpoint='work_dirs/titok/s128_stage1/iter_1000000.pth',
            rename={'pixels.tokenizer.decoder.': 'decoder.head.decoder.',
                    'pixels.tokenizer.quantizer.embedding.weight': 'decoder.head.table'}),
        losses=dict(
            reconstruction=dict(type='L2Loss', weight=1.0),
            perceptual=dict(type='ClassifierLoss', model='convnext_small', weight=0.1)),
        adversarial=dict(
            type='Adversarial',
            discriminator=dict(type='BlurPatchGAN', channels=128, num_stages=3, blur=4, pool=16),
            generator_loss='mean', discriminator_loss='hinge', weight=0.01, start=20000,
            regularizers=[dict(type='LeCAM', of='mean', weight=0.001)])))
adamw = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4)
optim_wrapper = dict(
    autoencoder=dict(optimizer=adamw),
    discriminator=dict(_delete_=True, no_decay_1d=True, optimizer=adamw))
train_cfg = dict(type='IterationLoop', max_iters=500000, val_interval=5000)
cosine = dict(type='WarmupDecayLR', warmup=5000, final=0.1, shape='cosine', by_epoch=False)
# The discriminator's schedule begins with the adversarial loss.
param_scheduler = dict(autoencoder=[cosine], discriminator=[dict(begin=20000, **cosine)])
