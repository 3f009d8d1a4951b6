# ar_32.py over WeTok's grouped codes: a token is three sub-tokens of 4 bits, one a group.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        quantizer=dict(_delete_=True, type='Grouped', quantizer=dict(type='LFQ', num_bits=4, temperature=0.01), groups=3)),
    factorization=dict(_delete_=True, type='TokenFactorization'))
