# VQGAN's transformer with rejection (paper Table 4, VQGAN-re): expect FID 5.20, IS 280.3
# (repository; a million samples, against the training set). Of 1,000 samples per class, the 50 that
# a ResNet-101 finds most probable are kept.
_base_ = './ar_1400m_256.py'
eval_sampling = dict(top_k=600, top_p=1.0)
eval_rejection = dict(type='TimmFeatures', model='resnet101', layers=(), weights='timm', keep=0.05)
