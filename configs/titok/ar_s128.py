# Generator over TiTok-S-128, ImageNet 256x256, 294,990,848 parameters without the tokenizer:
# expect FID 1.97. ar_l32.py with 128 tokens, 64 steps and a U-ViT.
_base_ = './ar_l32.py'
model = dict(
    tokenizer=dict(
        checkpoint='work_dirs/titok/s128.pth',
        encoder=dict(num_tokens=128, dim=512, num_layers=8, num_heads=8),
        decoder=dict(num_tokens=128, dim=512, num_layers=8, num_heads=8)),
    backbone=dict(_delete_=True, type='UVit', dim=1024, num_layers=20, num_heads=16, hidden=4096),
    head=dict(norm='layer_norm'))
eval_sampling = dict(steps=64, choice_temperature=2.8, guidance=6.9, schedule='cosine', power=3.0)
