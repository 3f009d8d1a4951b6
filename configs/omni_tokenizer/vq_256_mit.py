# vq_256.py for the file trained on ImageNet and Moments in Time: expect rFID 1.26.
_base_ = './vq_256.py'
