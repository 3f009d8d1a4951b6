# The CPU twin of vit_vqgan/ar_public.py: 64 tokens in raster order, each row mixed with the
# previous one before attention, over the tokenizer of vit_vqgan_32.py with seeded RANDOM weights. A
# few seconds on two cores; for trying out code, not for quality.
_base_ = './ar_32_single.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            _delete_=True, type='VitEncoder', image_size=32, patch_size=4, dim=64, num_layers=2,
            num_heads=2, head_dim=24, hidden=128),
        quantizer=dict(
            _delete_=True, type='VQ', codebook_size=256, code_dim=8, l2_norm=True,
            raw_gradient=True, restart_after=None),
        decoder=dict(
            _delete_=True, type='VitDecoder', image_size=32, patch_size=4, dim=64, num_layers=2,
            num_heads=2, head_dim=24, hidden=128),
        pixels=dict(type='Pixels', range=(0, 1))),
    conditioner=dict(null_class=False, dropout=0.0),
    backbone=dict(
        _delete_=True, type='Gpt', dim=64, num_layers=2, num_heads=4, activation='squared_relu',
        time_mixing=True, dropout=0.0, position_deviation=0.0),
    head=dict(norm='layer_norm', zero_init=False))
optim_wrapper = dict(
    transformer=dict(
        no_decay_1d=True, no_decay=('embed',),
        optimizer=dict(_delete_=True, type='Adam', lr=3e-3, betas=(0.9, 0.96), weight_decay=0.01)))
eval_sampling = dict(_delete_=True)
