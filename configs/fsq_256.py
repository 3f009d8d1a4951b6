# lfq_256.py with the 64,000 codes of Cosmos' quantizer. No number of the paper belongs to it.
_base_ = './lfq_256.py'
model = dict(quantizer=dict(type='FSQ', levels=(8, 8, 8, 5, 5, 5)))
