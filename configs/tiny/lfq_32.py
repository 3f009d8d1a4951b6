# The CPU twin of lfq_256.py: 20 iterations in a few seconds on two cores. For trying out code, not
# for quality.
_base_ = [
    '../_base_/models/lfq_tiny.py', '../_base_/datasets/fashion_mnist_32.py',
    '../_base_/schedules/tokenizer.py', '../_base_/runtime.py'
]
optim_wrapper = dict(dtype='auto', autoencoder=dict(optimizer=dict(lr=1e-3)))
train_cfg = dict(type='IterationLoop', max_iters=20, val_interval=10)
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=10))
# A short training needs a weight average over fewer steps; '0' is the first hook of the inherited
# list.
custom_hooks = {'0': dict(momentum=0.05)}
