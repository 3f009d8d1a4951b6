# LlamaGen-B at 256 pixels, 110,888,448 parameters without the tokenizer: expect FID 5.46
# (repository). Trains for 300 epochs at global batch 256 (1,501,500 iterations) with a constant
# learning rate. Each step draws one of an image's ten crops; for a token cache of all ten, as in
# the official training, run tools/tokenize_dataset.py --crops ten.
_base_ = [
    '../_base_/models/llamagen_ar_256.py', '../_base_/datasets/imagenet_256_samples.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='AdmCenterCrop', size=281), dict(type='RandomTenCrop', size=256)]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='AdmCenterCrop', size=256)]))
optim_wrapper = dict(
    dtype='bfloat16',
    transformer=dict(
        no_decay_1d=True, optimizer=dict(lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)))
# The 50,000 labels are drawn at random instead of 50 per class.
test_cfg = dict(labels='random')
train_cfg = dict(type='IterationLoop', max_epochs=300, val_interval=5005)
eval_sampling = dict(guidance=2.0, temperature=1.0, top_k=0, top_p=1.0)
