# RQ-Transformer with rejection (paper Table 4, RQTran.-re): expect FID 3.80, IS 323.7. Of 1,000
# samples per class, the 50 that a ResNet-101 finds most probable are kept.
_base_ = './ar_3800m_256_50e.py'
eval_rejection = dict(type='TimmFeatures', model='resnet101', layers=(), weights='timm', keep=0.05)
