# The CPU twin of sd_vq/vq_f8_256.py: vqgan_32.py with codes of 4 channels and the adversarial
# weight and start of that recipe. As in the recipe, nothing restarts codes or spreads them, so few
# are in use. A few seconds on two cores; for trying out code, not for quality.
_base_ = './vqgan_32.py'
model = dict(
    encoder=dict(channel_multipliers=(1, 2, 2)),
    quantizer=dict(code_dim=4, projection=4),
    decoder=dict(channel_multipliers=(1, 2, 2)),
    training=dict(adversarial=dict(weight=dict(weight=0.6), start=1)))
