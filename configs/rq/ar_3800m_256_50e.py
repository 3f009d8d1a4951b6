# RQ-Transformer, ImageNet 256x256, 3,822,488,064 parameters without the tokenizer (paper Table 4,
# RQTran.): expect FID 7.55, IS 134.0, or 3.80, 323.7 with rejection of 95 % (RQTran.-re). Its
# tokenizer is the one trained for 50 epochs.
_base_ = './ar_1400m_256_50e.py'
model = dict(backbone=dict(dim=2560, num_heads=40, checkpoint_blocks=True))
