# Binary spherical quantization, 10 bits, with a separate entropy for each bit.
_base_ = './vq_1024.py'
model = dict(
    quantizer=dict(
        _delete_=True, type='LFQ', num_bits=10, spherical=True, temperature=0.01, entropy_groups=10,
        entropy_eps=1e-8))
