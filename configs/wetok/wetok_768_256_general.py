# WeTok for general images at compression ratio 768, with a generative decoder that reads noise in
# addition to the codes: expect rFID 3.49 (repository) on ImageNet's validation images. This is the
# second stage, with encoder and quantizer frozen; README.md says how to start it.
_base_ = './wetok_768_256_general_first.py'
model = dict(
    decoder=dict(noise=True),
    training=dict(
        quantizer_losses=dict(entropy=None, commitment=None), freeze=('encoder', 'quantizer')))
custom_hooks = {'0': dict(modules=('decoder',))}
