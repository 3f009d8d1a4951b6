# The CPU twin of vq_256.py: lfq_32.py with another quantizer.
_base_ = './lfq_32.py'
model = dict(quantizer=dict(type='VQ', codebook_size=256))
