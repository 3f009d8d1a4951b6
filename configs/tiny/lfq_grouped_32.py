# lfq_32.py with WeTok's quantizer: 8 bits in two groups of 4, which share a codebook of 16 codes.
# An index has two digits.
_base_ = './lfq_32.py'
model = dict(
    quantizer=dict(
        _delete_=True, type='Grouped', groups=2,
        quantizer=dict(type='LFQ', num_bits=4, temperature=0.01)))
