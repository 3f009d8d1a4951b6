# VAR-d36, ImageNet 512x512: ten maps from 1x1 to 32x32, 2,240 tokens in all. All blocks share one
# modulation. Not a row of paper Table 4.
_base_ = './ar_d30_256.py'
model = dict(
    tokenizer=dict(quantizer=dict(scales=(1, 2, 3, 4, 6, 9, 13, 18, 24, 32))),
    backbone=dict(
        dim=2304, num_layers=36, num_heads=36, drop_path=36 / 240, shared_modulation=True),
    image_size=512)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=576, interpolation='lanczos'),
            dict(type='RandomCrop', size=512)]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='Resize', size=576, interpolation='lanczos'),
            dict(type='CenterCrop', size=512)]))
