# ibq_256.py with 262,144 codes: expect rFID 1.00, LPIPS 0.2030, usage 84 % (repository).
_base_ = './ibq_256.py'
model = dict(quantizer=dict(codebook_size=262144))
