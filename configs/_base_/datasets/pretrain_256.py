# Web images in tar shards for training: short side resized to 256 pixels, center crop, no flip
# (docs/reference/specification.md, Data). Validation uses ImageNet.
_base_ = './imagenet_256.py'
train_dataloader = dict(
    sampler=None,
    dataset=dict(
        _delete_=True, type='TarShards', urls='{{$OPENMAGVIT2_SHARDS:data/shards}}',
        pipeline=[dict(type='Resize', size=256), dict(type='CenterCrop', size=256)]))
