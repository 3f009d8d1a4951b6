# The CPU twin of titok/ar_l32.py: 16 masked tokens, unmasked in 8 steps, over the tokenizer of
# titok_32.py with seeded RANDOM weights. A few seconds on two cores; for trying out code, not for
# quality.
_base_ = './ar_titok_32.py'
model = dict(
    _delete_=True,
    type='MaskedGenerator',
    mask_schedule='arccos', mask_rounding='round', visible_weight=0.1, average='batch',
    tokenizer=_base_.model.tokenizer,
    conditioner=dict(type='ClassLabel', num_classes=10, dropout=0.1),
    backbone=dict(
        type='Bert', dim=64, num_layers=2, num_heads=4, dropout=0.0, approximate='none',
        token_types=2, truncated=False),
    head=dict(
        type='SingleHead', norm=None, bias=True, zero_init=False, more_rows=1, label_smoothing=0.1),
    input_dropout=0.0)
eval_sampling = dict(
    _delete_=True, steps=8, choice_temperature=4.5, noisy_draws=True, confidence='logit',
    annealing=(1.3, 0.5), mask_schedule='arccos', guidance=3.0, schedule='linear', closed=False)
