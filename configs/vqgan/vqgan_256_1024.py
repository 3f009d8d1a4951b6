# VQGAN f16, ImageNet 256x256, 16x16 tokens, 1,024 codes (paper Table 3): expect rFID 7.94, PSNR
# 19.4. The learning rate is 4.5e-6 per image of the batch, and adversarial training starts after
# 250,001 iterations. The official length was not published; here it is 10 epochs at batch 12.
_base_ = [
    '../_base_/models/vqgan_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
global_batch_size = 12
optim_wrapper = dict(
    autoencoder=dict(optimizer=dict(lr=5.4e-5)), discriminator=dict(optimizer=dict(lr=5.4e-5)))
train_cfg = dict(type='IterationLoop', max_epochs=10, val_interval=10000)
# No weight average.
custom_hooks = [
    dict(type='ReconstructionGridHook', num_images=8), dict(type='CodebookUsageHook', window=2048)]
