# vq_256.py with learned biases instead of rotary positions, for the file trained on images alone:
# expect rFID 1.28.
_base_ = './vq_256.py'
model = dict(encoder=dict(positions='bias'), decoder=dict(positions='bias'))
