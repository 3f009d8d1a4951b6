# vq_256.py, of the file that was trained on ImageNet and Moments in Time: expect rFID 1.26.
_base_ = './vq_256.py'
