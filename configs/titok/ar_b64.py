# Generator over TiTok-B-64, ImageNet 256x256, 177,227,008 parameters without the tokenizer:
# expect FID 2.48. ar_l32.py with 64 tokens.
_base_ = './ar_l32.py'
model = dict(
    tokenizer=dict(
        checkpoint='work_dirs/titok/b64.pth',
        encoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12),
        decoder=dict(num_tokens=64, dim=768, num_layers=12, num_heads=12)))
eval_sampling = dict(choice_temperature=11.0, guidance=4.0)
