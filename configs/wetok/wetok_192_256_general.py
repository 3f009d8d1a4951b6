# WeTok for general images at compression ratio 192: 16x16 tokens of 4 groups of 8 bits. Trains on
# 256x256 crops of web images in tar shards.
_base_ = './wetok_f16_256.py'
train_dataloader = dict(
    sampler=None,
    dataset=dict(
        _delete_=True, type='TarShards', urls='{{$OPENMAGVIT2_SHARDS:data/shards}}',
        pipeline=[dict(type='Resize', size=256), dict(type='CenterCrop', size=256)]))
train_cfg = dict(_delete_=True, type='IterationLoop', max_iters=2_700_000, val_interval=10010)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[2_000_000, 2_500_000], gamma=0.1, by_epoch=False)]
