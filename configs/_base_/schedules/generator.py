# AdamW, clipping, and the warm-up, flat part and linear decay of docs/reference/specification.md,
# Generator recipes; weight decay on every tensor, as in the official code.
optim_wrapper = dict(
    constructor='RoleOptimConstructor', dtype=None, accumulative_counts=1,
    clip_grad=dict(max_norm=1.0),
    transformer=dict(
        optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05)))
custom_hooks = [dict(type='SampleGridHook', num_per_class=4)]
