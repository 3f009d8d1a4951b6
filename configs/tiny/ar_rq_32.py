# The CPU twin of RQ-Transformer: a small transformer predicts the four codes of each of the 8x8
# tokens in turn, over the tokenizer of rq_32.py with seeded RANDOM weights. The codes of that
# tokenizer lie within 1/256 of each other, so the soft targets need a small temperature; with the
# recipe's 0.5 they are uniform and teach nothing. A few seconds on two cores; for trying out code,
# not for quality.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
            out_kernel=3),
        quantizer=dict(
            _delete_=True, type='Residual', depth=4, projection=16,
            quantizer=dict(
                type='VQ', codebook_size=256, code_dim=16, l2_norm=False, ema_decay=0.99,
                ema_smoothing=1e-5, restart_below=1.0, restart_after=None)),
        decoder=dict(
            num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
            bias=True, adaptive_norm=False)),
    factorization=dict(_delete_=True, type='TokenFactorization'),
    conditioner=dict(null_class=False, dropout=0.0),
    backbone=dict(_delete_=True, type='Gpt', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    head=dict(_delete_=True, type='CumulativeCodeHead', num_layers=2, dropout=0.0),
    soft_targets=dict(temperature=2e-5))
eval_sampling = dict(_delete_=True, top_p=0.92)
