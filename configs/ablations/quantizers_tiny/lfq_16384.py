# Lookup-free quantization, 14 bits.
_base_ = './lfq_1024.py'
model = dict(quantizer=dict(num_bits=14))
