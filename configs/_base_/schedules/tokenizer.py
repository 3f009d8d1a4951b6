# Adam for both networks and the weight average of docs/reference/specification.md, Losses and
# Tokenizer recipes.
optim_wrapper = dict(
    constructor='RoleOptimConstructor', dtype=None, accumulative_counts=1,
    autoencoder=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.5, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.5, 0.9))))
custom_hooks = [
    dict(type='SubmoduleEMAHook', modules=('encoder', 'quantizer', 'decoder'), momentum=0.001),
    dict(type='ReconstructionGridHook', num_images=8),
    dict(type='CodebookUsageHook', window=2048)]
