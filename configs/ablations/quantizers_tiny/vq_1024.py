# Which quantizers collapse? One recipe, small enough for a CPU, with twelve quantizers
# (docs/studies.md): embedded images to 4x4 tokens, trained with L1 and the quantizer's own losses.
# This one is a learned codebook of 2^10 codes.
_base_ = [
    '../../_base_/datasets/fashion_mnist_32.py', '../../_base_/schedules/tokenizer.py',
    '../../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=32, channel_multipliers=(1, 2), num_res_blocks=1,
        downsample='strided_conv', patch_size=4),
    quantizer=dict(type='VQ', codebook_size=1024, code_dim=16, l2_norm=False, restart_after=None),
    decoder=dict(
        type='CnnDecoder', channels=32, channel_multipliers=(1, 2), num_res_blocks=1,
        upsample='depth_to_space', patch_size=4, adaptive_norm=False),
    training=dict(losses=dict(reconstruction=dict(type='L1Loss', weight=1.0))))
train_dataloader = dict(dataset=dict(num_images=None))
val_dataloader = dict(dataset=dict(num_images=None))
optim_wrapper = dict(
    dtype='float32', autoencoder=dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99))),
    discriminator=None)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=20, shape='cosine', final=0.02, by_epoch=False)]
train_cfg = dict(type='IterationLoop', max_iters=200, val_interval=None)
default_hooks = dict(checkpoint=dict(interval=200))
custom_hooks = {'0': dict(momentum=0.02)}
