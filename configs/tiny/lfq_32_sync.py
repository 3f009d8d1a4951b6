# lfq_32.py with losses that depend on the whole global batch, however it is split: an entropy over
# all processes and micro-batches, and a discriminator without BatchNorm. It compares splits over
# ten iterations. At usual learning rates rounding errors grow tenfold per iteration (the
# temperature of the entropy is 0.01), so the rates are small, and eps keeps Adam from amplifying
# gradients that are nothing but rounding.
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
