# The torch port of MaskGIT's tokenizer, ImageNet 256x256, 16x16 tokens, 1024 codes:
# expect rFID 2.28 (repository). TiTok's first stage predicts its codes, and RAR generates them.
# Meant for the published weights: training from this config would use L1 and the quantizer's losses
# alone.
_base_ = [
    '../_base_/models/maskgit_proxy_256.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
optim_wrapper = dict(discriminator=None)
train_cfg = dict(type='IterationLoop', max_iters=1000000, val_interval=5000)
