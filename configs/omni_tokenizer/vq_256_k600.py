# vq_256.py for the file trained on ImageNet and Kinetics-600: expect rFID 1.23.
_base_ = './vq_256.py'
