# ibq_256.py with 1,024 codes: expect rFID 2.24, LPIPS 0.2580, usage 99 % (repository).
_base_ = './ibq_256.py'
model = dict(quantizer=dict(codebook_size=1024))
