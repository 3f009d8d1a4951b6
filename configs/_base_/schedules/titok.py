# AdamW without weight decay on vectors, position embeddings and codebooks, and a weight average
# that follows the weights faster at the start. Each leaf config sets its learning-rate schedule.
_base_ = './tokenizer.py'
no_decay = ('embed', 'latent_tokens', 'mask_token', 'table')
optim_wrapper = dict(
    dtype='auto', clip_grad=dict(max_norm=1.0),
    autoencoder=dict(
        no_decay_1d=True, no_decay=no_decay,
        optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.99), weight_decay=1e-4)),
    discriminator=None)
custom_hooks = {'0': dict(warmup=True)}
