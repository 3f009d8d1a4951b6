# TiTok-BL-128 of one stage: bl64_vq8k.py with 128 tokens; rFID 1.49 in its repository.
_base_ = './bl64_vq8k.py'
model = dict(encoder=dict(num_tokens=128), decoder=dict(num_tokens=128))
