# lfq_32.py with WeTok's grouped codes: 8x8 tokens of three groups of 4 bits, one codebook entropy pooled over the groups.
_base_ = './lfq_32.py'
model = dict(quantizer=dict(_delete_=True, type='Grouped', quantizer=dict(type='LFQ', num_bits=4, temperature=0.01), groups=3))
