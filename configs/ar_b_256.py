# AR-B, ImageNet 256x256, 343,570,432 parameters without the tokenizer (paper Table 4):
# expect FID 3.08, IS 258.26, precision 0.85, recall 0.51. Trains for 300 epochs at global batch 768
# (500,700 iterations), including 6 epochs of warm-up.
_base_ = [
    './_base_/models/ar_b_256.py', './_base_/datasets/imagenet_256_samples.py',
    './_base_/schedules/generator.py', './_base_/runtime.py'
]
global_batch_size = 768
optim_wrapper = dict(dtype='bfloat16')
train_cfg = dict(type='IterationLoop', max_epochs=300, val_interval=5007)
param_scheduler = [
    dict(
        type='WarmupDecayLR', warmup=10014, warmup_start=0.005, hold=0.05, final=0.1,
        shape='linear', by_epoch=False)
]
eval_sampling = dict(guidance=[1.9, 2.0], temperature=1.0, top_k=0, top_p=1.0)
