# LlamaGen-B at 384 pixels, 24x24 tokens, samples resized to 256, 110,888,448 parameters:
# expect FID 6.09 (repository).
_base_ = './ar_b_256.py'
model = dict(image_size=384, output_size=256)
train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='AdmCenterCrop', size=422), dict(type='RandomTenCrop', size=384)]))
val_dataloader = dict(dataset=dict(pipeline=[dict(type='AdmCenterCrop', size=384)]))
