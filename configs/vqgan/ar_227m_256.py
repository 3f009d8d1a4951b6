# VQGAN's transformer as MaskGIT's authors trained it, over MaskGIT's tokenizer (paper Table 4,
# VQGAN 227M including the tokenizer): expect FID 18.65, IS 80.4, precision 0.78, recall 0.26.
# Neither weights nor code are published, so sizes and recipe are those of MaskGIT's transformer.
_base_ = '../maskgit/maskgit_256.py'
model = dict(
    type='AutoregressiveGenerator',
    conditioner=dict(rows='codes'),
    backbone=dict(
        _delete_=True, type='Gpt', dim=768, num_layers=24, num_heads=8, dropout=0.1,
        num_positions=256),
    head=dict(_delete_=True, type='SingleHead', norm='layer_norm', zero_init=False))
eval_sampling = dict(_delete_=True, temperature=1.0)
