# The CPU twin of titok/ar_s128.py: titok_ar_32.py with a U-ViT, and guidance that rises toward the
# end.
_base_ = './titok_ar_32.py'
model = dict(
    backbone=dict(_delete_=True, type='UVit', dim=64, num_layers=2, num_heads=4),
    head=dict(norm='layer_norm'))
eval_sampling = dict(schedule='cosine', power=3.0)
