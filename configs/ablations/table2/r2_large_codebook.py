# Paper Table 2, tick 2: r1_lfq.py with 2^18 codes. 51,623,445 parameters in encoder and decoder.
_base_ = './r1_lfq.py'
model = dict(quantizer=dict(num_bits=18))
