# AdamW with gradient clipping (docs/reference/specification.md, Generator recipes). As in the
# official code, weight decay applies to every tensor. Each leaf config sets its learning-rate
# schedule.
optim_wrapper = dict(
    constructor='RoleOptimConstructor', dtype=None, accumulative_counts=1,
    clip_grad=dict(max_norm=1.0),
    transformer=dict(
        optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05)))
custom_hooks = [dict(type='SampleGridHook', num_per_class=4)]
