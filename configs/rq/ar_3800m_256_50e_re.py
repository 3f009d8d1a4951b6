# RQ-Transformer with rejection (paper Table 4, RQTran.-re): of 1,000 samples of each class the 50
# that a ResNet-101 finds most probable: expect FID 3.80, IS 323.7.
_base_ = './ar_3800m_256_50e.py'
eval_rejection = dict(type='TimmFeatures', model='resnet101', layers=(), weights='timm', keep=0.05)
