# vq_256.py for the file trained on ImageNet and Something-Something v2: expect rFID 1.21.
_base_ = './vq_256.py'
