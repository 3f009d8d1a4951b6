# Index backpropagation, 2^14 codes.
_base_ = './ibq_1024.py'
model = dict(quantizer=dict(codebook_size=16384))
