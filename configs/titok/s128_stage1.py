# TiTok-S-128, first stage ("warm-up"), ImageNet 256x256: 128 tokens of 4096 codes, which predict the 16x16 codes of MaskGIT's tokenizer.
# 1,000,000 iterations of global batch 256.
_base_ = ['../_base_/datasets/imagenet_256_flip.py', '../_base_/schedules/titok.py', '../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='LatentVitEncoder', image_size=256, patch_size=16, num_tokens=128, dim=512, num_layers=8, num_heads=8,
        legacy_reshape=True),
    quantizer=dict(type='VQ', codebook_size=4096, code_dim=12, l2_norm=True, restart_after=None),
    decoder=dict(
        type='LatentVitDecoder', image_size=256, patch_size=16, num_tokens=128, dim=512, num_layers=8, num_heads=8,
        output='codes'),
    pixels=dict(
        type='CodePixels',
        range=(0, 1),
        tokenizer=dict(
            type='VisualTokenizer',
            checkpoint='work_dirs/titok/proxy.pth',
            encoder=dict(
                type='CnnEncoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2, downsample='avg_pool',
                shortcut='branch'),
            quantizer=dict(type='VQ', codebook_size=1024, code_dim=256, l2_norm=False, restart_after=None),
            decoder=dict(
                type='CnnDecoder', channels=128, channel_multipliers=(1, 1, 2, 2, 4), num_res_blocks=2,
                upsample='nearest_conv', adaptive_norm=False, shortcut='branch'),
            pixels=dict(type='Pixels', range=(0, 1)))),
    training=dict(
        losses=dict(reconstruction=dict(type='CodeCrossEntropy', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25)))
train_cfg = dict(type='IterationLoop', max_iters=1000000, val_interval=5000)
param_scheduler = [dict(type='WarmupDecayLR', warmup=10000, final=0.1, shape='cosine', by_epoch=False)]
