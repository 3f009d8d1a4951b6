# The CPU twin of LlamaGen's transformer: it predicts unfactorized indices, over the tokenizer of
# llamagen_vq_32.py with seeded RANDOM weights. A few seconds on two cores; for trying out code, not
# for quality.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
            out_kernel=3),
        quantizer=dict(
            _delete_=True, type='VQ', codebook_size=256, code_dim=8, projection=16, l2_norm=True,
            restart_after=None),
        decoder=dict(
            num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
            bias=True, adaptive_norm=False)),
    factorization=dict(_delete_=True, type='TokenFactorization', vocab_sizes=[256]),
    backbone=dict(drop_path=0.1),
    head=dict(_delete_=True, type='SingleHead'))
