# Lookup-free quantization, 10 bits.
_base_ = './vq_1024.py'
model = dict(quantizer=dict(_delete_=True, type='LFQ', num_bits=10, temperature=0.01))
