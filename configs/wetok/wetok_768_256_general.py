# WeTok on general images, compression ratio 768, with the generative decoder, which reads noise
# beside the codes; on ImageNet's validation images expect rFID 3.49 (repository). Second stage:
# encoder and quantizer stay as they are. README.md says how it starts.
_base_ = './wetok_768_256_general_first.py'
model = dict(
    decoder=dict(noise=True),
    training=dict(
        quantizer_losses=dict(entropy=None, commitment=None), freeze=('encoder', 'quantizer')))
custom_hooks = {'0': dict(modules=('decoder',))}
