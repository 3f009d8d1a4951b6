# LlamaGen VQ-16, ImageNet 256x256, 16x16 tokens, 16,384 unit vectors of 8 channels (paper Table 3):
# expect rFID 2.19, PSNR 20.79, usage 97 %. Trains for 40 epochs at global batch 128 (400,400
# iterations) with a constant learning rate, on ADM's random crops with flips.
_base_ = [
    '../_base_/models/llamagen_vq_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
global_batch_size = 128
train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='AdmRandomCrop', size=256), dict(type='RandomFlip', prob=0.5)]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='AdmCenterCrop', size=256)]))
optim_wrapper = dict(
    dtype='bfloat16', clip_grad=dict(max_norm=1.0),
    autoencoder=dict(optimizer=dict(betas=(0.9, 0.95))),
    discriminator=dict(optimizer=dict(betas=(0.9, 0.95))))
train_cfg = dict(type='IterationLoop', max_epochs=40, val_interval=10010)
# No weight average.
custom_hooks = [
    dict(type='ReconstructionGridHook', num_images=8), dict(type='CodebookUsageHook', window=2048)]
