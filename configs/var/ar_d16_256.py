# VAR-d16, ImageNet 256x256, 310,283,520 parameters without the tokenizer (paper Table 4):
# expect FID 3.30, IS 274.4, precision 0.84, recall 0.51; FID 3.55 for the published file
# (repository). Trains for 200 epochs at global batch 768 (333,800 iterations): 4 epochs of warm-up,
# constant for the next 5 %, then a linear decay.
_base_ = [
    '../_base_/models/var_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
global_batch_size = 768
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=288, interpolation='lanczos'),
            dict(type='RandomCrop', size=256)]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=288, interpolation='lanczos'),
            dict(type='CenterCrop', size=256)]))
optim_wrapper = dict(
    dtype='float16', clip_grad=dict(max_norm=2.0),
    transformer=dict(
        no_decay_1d=True, no_decay=('start', 'position_embedding', 'level_embedding'),
        optimizer=dict(lr=3e-4, weight_decay=0.05)))
train_cfg = dict(type='IterationLoop', max_epochs=200, val_interval=8345)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=6676, warmup_start=0.005, hold=0.05, final=0.1, shape='linear',
        by_epoch=False)
]
# The official cfg=1.5, which grows from scale to scale.
eval_sampling = dict(guidance=2.5, schedule='linear', top_k=900, top_p=0.96)
