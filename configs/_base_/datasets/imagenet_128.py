# imagenet_256.py at 128 pixels.
_base_ = './imagenet_256.py'
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=128), dict(type='RandomCrop', size=128)]))
val_dataloader = dict(
    dataset=dict(pipeline=[dict(type='Resize', size=128), dict(type='CenterCrop', size=128)]))
