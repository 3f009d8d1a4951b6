# lfq_32.py with losses of the whole global batch, however it is split: entropy over all processes
# and micro-batches, and a discriminator without BatchNorm. For comparing splits over ten
# iterations: at usual learning rates rounding grows tenfold at each (the entropy's temperature is
# 0.01), so these are small, and eps keeps Adam from blowing up gradients that are rounding alone.
_base_ = './lfq_32.py'
model = dict(
    quantizer=dict(entropy_sync=True),
    training=dict(
        adversarial=dict(
            discriminator=dict(_delete_=True, type='BlurPatchGAN', channels=32, num_stages=2))))
optim_wrapper = dict(
    dtype='float32',
    autoencoder=dict(optimizer=dict(lr=3e-6, eps=1e-5)),
    discriminator=dict(optimizer=dict(lr=3e-6, eps=1e-5)))
