# The CPU twin of ibq/ar_b_256.py: 64 tokens, 256 codes, modulated norms, over a tokenizer with
# seeded RANDOM weights. A few seconds on two cores; for trying out code, not for quality.
_base_ = './ar_32_single.py'
model = dict(
    tokenizer=dict(
        encoder=dict(
            downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
            out_kernel=3),
        quantizer=dict(_delete_=True, type='IBQ', codebook_size=256, code_dim=16, projection=16),
        decoder=dict(
            num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
            bias=True, adaptive_norm=False)),
    backbone=dict(_delete_=True, type='AdaLlama', dim=64, num_layers=2, num_heads=4, dropout=0.0),
    head=dict(norm=None))
