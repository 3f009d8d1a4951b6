# RQ-Transformer, ImageNet 256x256, 480,921,088 parameters without the tokenizer: expect FID 15.72
# (repository; against the training set, see README.md). Trains for 100 epochs at global batch 2048
# (62,600 iterations), with a cosine to 0 and no warm-up. Its targets need images, so it cannot
# train on a token cache.
_base_ = [
    '../_base_/models/rq_ar_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
global_batch_size = 2048
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256), dict(type='RandomCrop', size=256),
            dict(type='RandomFlip', prob=0.5)]))
optim_wrapper = dict(dtype='float16', transformer=dict(optimizer=dict(lr=5e-4, weight_decay=1e-4)))
train_cfg = dict(type='IterationLoop', max_epochs=100, val_interval=3130)
param_scheduler = [dict(type='WarmupDecayLR', shape='cosine', by_epoch=False)]
eval_sampling = dict(temperature=1.0, top_k=0, top_p=0.92)
