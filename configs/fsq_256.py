# lfq_256.py with Cosmos' quantizer of 64,000 codes. The paper reports no number for it.
_base_ = './lfq_256.py'
model = dict(quantizer=dict(type='FSQ', levels=(8, 8, 8, 5, 5, 5)))
