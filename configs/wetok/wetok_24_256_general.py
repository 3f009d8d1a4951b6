# WeTok on general images, compression ratio 24: 32x32 tokens of 8 groups of 8 bits; on ImageNet's
# validation images, which it was not trained on, expect rFID 0.12 (repository).
_base_ = './wetok_48_256_general.py'
model = dict(quantizer=dict(groups=8))
