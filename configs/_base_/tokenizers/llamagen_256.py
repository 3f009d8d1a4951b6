# Networks of LlamaGen's tokenizer: those of VQGAN, with 16x16 tokens from a codebook of unit
# vectors.
_base_ = './vqgan_256.py'
model = dict(
    tokenizer=dict(
        quantizer=dict(
            _delete_=True, type='VQ', codebook_size=16384, code_dim=8, projection=256, l2_norm=True,
            restart_after=None)))
