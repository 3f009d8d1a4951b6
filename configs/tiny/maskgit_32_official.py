# maskgit_32.py in the shape of a small official transformer: 4x4 tokens, 32 codes, 5 classes, width
# 32. For tools/convert_checkpoint.py on small files.
_base_ = './maskgit_32.py'
model = dict(
    tokenizer=dict(
        encoder=dict(channel_multipliers=(1, 1, 2, 2)),
        quantizer=dict(codebook_size=32),
        decoder=dict(channel_multipliers=(1, 1, 2, 2))),
    conditioner=dict(num_classes=5),
    backbone=dict(dim=32, num_layers=2, num_heads=4, hidden=64, dropout=0.0),
    head=dict(more_rows=6, label_smoothing=0.1))
