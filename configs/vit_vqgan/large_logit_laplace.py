# large.py with the losses of ViT-VQGAN's paper: L2 on images plus 0.1 times the logit-Laplace
# density of their pixels, for which the decoder also predicts log-scales. The public code omits
# that term.
_base_ = './large.py'
model = dict(
    pixels=dict(_delete_=True, type='LogitLaplacePixels'),
    training=dict(
        losses=dict(
            reconstruction=dict(_delete_=True, type='LogitLaplaceLoss', weight=0.1),
            # A quarter, because images are in [-1, 1].
            image=dict(type='ImageL2Loss', weight=0.25))))
