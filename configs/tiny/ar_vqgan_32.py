# The CPU twin of VQGAN's transformer: a GPT over unfactorized indices, where classes share rows of
# the token embedding with the codes, over the tokenizer of vqgan_32.py with seeded RANDOM weights.
# A few seconds on two cores; for trying out code, not for quality.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
            out_kernel=3),
        quantizer=dict(
            _delete_=True, type='VQ', codebook_size=256, code_dim=16, projection=16, l2_norm=False,
            legacy=True, restart_after=None),
        decoder=dict(
            num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
            bias=True, adaptive_norm=False)),
    factorization=dict(_delete_=True, type='TokenFactorization'),
    conditioner=dict(_delete_=True, type='TokenLabel', num_classes=10),
    backbone=dict(
        _delete_=True, type='Gpt', dim=64, num_layers=2, num_heads=4, dropout=0.0,
        num_positions=64),
    head=dict(_delete_=True, type='SingleHead', norm='layer_norm', zero_init=False),
    token_noise=0.1)
eval_sampling = dict(_delete_=True, top_k=100)
