# WeTok for general images at compression ratio 24: 32x32 tokens of 8 groups of 8 bits;
# expect rFID 0.12 (repository) on ImageNet's validation images, without training on ImageNet.
_base_ = './wetok_48_256_general.py'
model = dict(quantizer=dict(groups=8))
