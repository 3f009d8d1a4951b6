# Paper Table 2, tick 1: r0_vq.py with lookup-free quantization, 2^10 codes. 51,582,477 parameters
# in encoder and decoder.
_base_ = './r0_vq.py'
model = dict(quantizer=dict(_delete_=True, type='LFQ', num_bits=10, temperature=0.01))
