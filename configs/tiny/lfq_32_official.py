# lfq_32.py in the shape of a small official model: 16x16 tokens of 8 bits, two levels, a PatchGAN
# of three layers. For tools/convert_checkpoint.py on small files.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2)),
    decoder=dict(channel_multipliers=(1, 2)),
    training=dict(adversarial=dict(discriminator=dict(num_layers=3))))
