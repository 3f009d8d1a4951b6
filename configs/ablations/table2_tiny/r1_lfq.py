# Tick 1: lookup-free quantization, 2^8 codes.
_base_ = './r0_vq.py'
model = dict(quantizer=dict(_delete_=True, type='LFQ', num_bits=8, temperature=0.01))
