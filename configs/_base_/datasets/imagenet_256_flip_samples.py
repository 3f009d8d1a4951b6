# imagenet_256_samples.py with bicubic resizing and random flips.
_base_ = './imagenet_256_samples.py'
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256, interpolation='bicubic'),
            dict(type='RandomCrop', size=256),
            dict(type='RandomFlip')
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=256, interpolation='bicubic'),
            dict(type='CenterCrop', size=256)]))
