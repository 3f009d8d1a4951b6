# MaskGIT's tokenizer in torch, ImageNet 256x256, 16x16 tokens of 1024 codes: rFID 2.28 in its
# repository. TiTok's first stage predicts its codes, and RAR generates them. For its published
# weights; the recipe of a training is that of lfq_256.py.
_base_ = [
    '../_base_/models/maskgit_proxy_256.py', '../_base_/datasets/imagenet_256_flip.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
optim_wrapper = dict(discriminator=None)
train_cfg = dict(type='IterationLoop', max_iters=1000000, val_interval=5000)
