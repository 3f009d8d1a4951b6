# The tokenizer for the comparison of heads, small enough for a CPU: 32-pixel Fashion-MNIST to 4x4
# tokens of 14 bits.
_base_ = [
    '../../../_base_/datasets/fashion_mnist_28.py', '../../../_base_/schedules/tokenizer.py',
    '../../../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
        downsample='strided_conv', patch_size=2),
    quantizer=dict(type='LFQ', num_bits=14, temperature=0.01),
    decoder=dict(
        type='CnnDecoder', channels=32, channel_multipliers=(1, 2, 2), num_res_blocks=1,
        upsample='depth_to_space', patch_size=2, adaptive_norm=True),
    training=dict(losses=dict(reconstruction=dict(type='L2Loss', weight=25.0))))
train_dataloader = dict(dataset=dict(pipeline=[dict(type='Pad', size=32), dict(type='RandomFlip')]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='Pad', size=32)]))
optim_wrapper = dict(
    dtype='auto', autoencoder=dict(optimizer=dict(lr=3e-3, betas=(0.9, 0.99))), discriminator=None)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=50, shape='cosine', final=0.02, by_epoch=False)]
train_cfg = dict(type='IterationLoop', max_iters=3000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=500))
custom_hooks = {'0': dict(momentum=0.01)}
