# ar_grouped_32.py in the shape of a small transformer of WeTok, whose files count sub-tokens: three
# groups of 4 bits, cut into four of them. For tools/convert_checkpoint.py on small files.
_base_ = './ar_grouped_32.py'
model = dict(
    tokenizer=dict(quantizer=dict(groups=3)),
    factorization=dict(bits=[3, 3, 4, 2]),
    head=dict(num_layers=2))
