# VAR's transformer of depth 16 over ten token maps, on the tokenizer of configs/var/var_vae_256.py.
_base_ = '../tokenizers/var_256.py'
model = dict(
    type='NextScaleGenerator',
    tokenizer=dict(checkpoint='work_dirs/var/var_vae_256/iter_417250.pth'),
    conditioner=dict(type='ClassLabel', num_classes=1000, dropout=0.1),
    backbone=dict(
        type='AdaLnTransformer', dim=1024, num_layers=16, num_heads=16, drop_path=16 / 240,
        first_gain=1e-3),
    head=dict(type='SingleHead', norm=None, bias=True, embedding=None),
    input_dropout=0.0,
    image_size=256)
