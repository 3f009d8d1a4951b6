# TiTok-BL-128, trained in one stage: bl64_vq8k.py with 128 tokens; expect rFID 1.49 (repository).
_base_ = './bl64_vq8k.py'
model = dict(encoder=dict(num_tokens=128), decoder=dict(num_tokens=128))
