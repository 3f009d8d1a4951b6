# TiTok-S-128, first stage ("warm-up"), ImageNet 256x256: 128 tokens, 4096 codes, trained to predict
# the 16x16 codes of MaskGIT's tokenizer. Trains for 1,000,000 iterations at global batch 256.
_base_ = [
    '../_base_/tokenizers/maskgit_256.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/titok.py', '../_base_/runtime.py'
]
model = dict(
    _delete_=True,
    type='VisualTokenizer',
    encoder=dict(
        type='LatentVitEncoder', image_size=256, patch_size=16, num_tokens=128, dim=512,
        num_layers=8, num_heads=8, legacy_reshape=True),
    quantizer=dict(type='VQ', codebook_size=4096, code_dim=12, l2_norm=True, restart_after=None),
    decoder=dict(
        type='LatentVitDecoder', image_size=256, patch_size=16, num_tokens=128, dim=512,
        num_layers=8, num_heads=8, output='codes'),
    pixels=dict(
        type='CodePixels',
        range=(0, 1),
        tokenizer=dict(_base_.model.tokenizer, checkpoint='work_dirs/titok/proxy.pth')),
    training=dict(
        losses=dict(reconstruction=dict(type='CodeCrossEntropy', weight=1.0)),
        quantizer_losses=dict(codebook=1.0, commitment=0.25)))
train_cfg = dict(type='IterationLoop', max_iters=1000000, val_interval=5000)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=10000, final=0.1, shape='cosine', by_epoch=False)]
