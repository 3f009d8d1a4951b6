# Stage I of tools/quickstart.py, sized for two CPU cores: 28-pixel Fashion-MNIST to 7x7 tokens,
# 1,000 codes. All blocks work at 7x7, where a CPU is fast. FSQ needs no losses of its own: at this
# size it reaches in 1,500 steps what LFQ, the paper's quantizer, does not in 4,000
# (docs/quickstart.md).
_base_ = [
    '../_base_/datasets/fashion_mnist_28.py', '../_base_/schedules/tokenizer.py',
    '../_base_/runtime.py']
model = dict(
    type='VisualTokenizer',
    encoder=dict(
        type='CnnEncoder', channels=64, channel_multipliers=(1,), num_res_blocks=1, patch_size=4),
    quantizer=dict(type='FSQ', levels=(8, 5, 5, 5)),
    decoder=dict(
        type='CnnDecoder', channels=64, channel_multipliers=(1,), num_res_blocks=1,
        adaptive_norm=True, patch_size=4),
    training=dict(losses=dict(reconstruction=dict(type='L2Loss', weight=1.0))))
global_batch_size = 16
optim_wrapper = dict(
    dtype='auto', autoencoder=dict(optimizer=dict(lr=2e-3, betas=(0.9, 0.99))), discriminator=None)
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=50, shape='cosine', final=0.02, by_epoch=False)]
train_cfg = dict(type='IterationLoop', max_iters=3200, val_interval=1600)
default_hooks = dict(checkpoint=dict(interval=500))
custom_hooks = {'0': dict(momentum=0.01)}
