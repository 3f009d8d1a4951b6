# The CPU twin of WeTok's generators: ar_32.py over the quantizer of lfq_grouped_32.py, with one
# sub-token for each of its two groups.
_base_ = './ar_32.py'
model = dict(
    tokenizer=dict(
        quantizer=dict(
            _delete_=True, type='Grouped', groups=2,
            quantizer=dict(type='LFQ', num_bits=4, temperature=0.01))),
    factorization=dict(_delete_=True, type='TokenFactorization'))
