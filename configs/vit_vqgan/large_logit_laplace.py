# large.py with the losses of the paper: L2 of the images and 0.1 times the logit-Laplace density of
# their pixels, whose log-scales the decoder writes beside them. The public code leaves that term
# out.
_base_ = './large.py'
model = dict(
    pixels=dict(_delete_=True, type='LogitLaplacePixels'),
    training=dict(
        losses=dict(
            reconstruction=dict(_delete_=True, type='LogitLaplaceLoss', weight=0.1),
            # A quarter: images are in [-1, 1].
            image=dict(type='ImageL2Loss', weight=0.25))))
