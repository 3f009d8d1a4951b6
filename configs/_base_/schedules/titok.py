# AdamW without decay of vectors, positions and tables, a warm-up and a cosine, and an average that
# begins fast.
_base_ = './tokenizer.py'
no_decay = ('embed', 'latent_tokens', 'mask_token', 'table')
optim_wrapper = dict(
    dtype='auto', clip_grad=dict(max_norm=1.0),
    autoencoder=dict(
        no_decay_1d=True, no_decay=no_decay,
        optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.99), weight_decay=1e-4)),
    discriminator=None)
custom_hooks = {'0': dict(warmup=True)}
