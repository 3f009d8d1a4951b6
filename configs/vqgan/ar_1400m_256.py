# VQGAN's transformer, ImageNet 256x256, 1,410,640,896 parameters without the tokenizer (paper Table
# 4): expect FID 15.78, IS 74.3 (repository; see README.md for the reference and for VQGAN-re). The
# official length was not published; here it is 100 epochs at batch 64, with a learning rate of
# 4.5e-6 per image.
_base_ = [
    '../_base_/tokenizers/vqgan_256.py', '../_base_/datasets/imagenet_256.py',
    '../_base_/schedules/generator.py', '../_base_/runtime.py'
]
model = dict(
    type='AutoregressiveGenerator',
    tokenizer=dict(
        checkpoint='work_dirs/vqgan/vqgan_256_16384.pth', quantizer=dict(codebook_size=16384)),
    conditioner=dict(type='TokenLabel', num_classes=1000),
    backbone=dict(
        type='Gpt', dim=1536, num_layers=48, num_heads=24, dropout=0.0, num_positions=256,
        position_deviation=0.0),
    head=dict(type='SingleHead', norm='layer_norm', zero_init=False),
    image_size=256,
    input_dropout=0.0,
    token_noise=0.0)
optim_wrapper = dict(
    dtype='auto', clip_grad=None,
    transformer=dict(
        no_decay_1d=True, no_decay=('embedding',),
        optimizer=dict(lr=2.88e-4, betas=(0.9, 0.95), weight_decay=0.01)))
global_batch_size = 64
val_evaluator = [dict(type='NegativeLogLikelihood')]
reference = '{{$OPENMAGVIT2_REFERENCE:data/imagenet_train_256.npz}}'
test_evaluator = [
    dict(type='SampleFrechet', reference=reference),
    dict(type='SampleInceptionScore'),
]
test_cfg = dict(type='GenerationLoop', num_per_class=50)
train_cfg = dict(type='IterationLoop', max_epochs=100, val_interval=20020)
eval_sampling = dict(temperature=1.0, top_k=973, top_p=0.88)
