# The CPU twin of fsq_256.py: lfq_32.py with another quantizer.
_base_ = './lfq_32.py'
model = dict(quantizer=dict(type='FSQ', levels=(8, 5, 5)))
