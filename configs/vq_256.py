# lfq_256.py with LlamaGen's quantizer: 16,384 unit vectors of 8 channels. The paper reports no
# number for it.
_base_ = './lfq_256.py'
model = dict(quantizer=dict(type='VQ', codebook_size=16384, code_dim=8, l2_norm=True))
