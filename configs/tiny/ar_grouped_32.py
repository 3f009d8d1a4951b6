# The CPU twin of WeTok's generators: ar_32.py over the two sub-tokens of lfq_grouped_32.py's
# quantizer, one for each group.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        quantizer=dict(
            _delete_=True, type='Grouped', groups=2,
            quantizer=dict(type='LFQ', num_bits=4, temperature=0.01))),
    factorization=dict(_delete_=True, type='TokenFactorization'))
