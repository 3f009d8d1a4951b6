# Networks of TiTok-S-128: 128 tokens, 4096 codes. The decoder turns tokens into pixels through the
# decoder of MaskGIT's tokenizer.
_base_ = './maskgit_256.py'
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='VisualTokenizer',
        encoder=dict(
            type='LatentVitEncoder', image_size=256, patch_size=16, num_tokens=128, dim=512,
            num_layers=8, num_heads=8, legacy_reshape=True),
        quantizer=dict(
            type='VQ', codebook_size=4096, code_dim=12, l2_norm=True, restart_after=None),
        decoder=dict(
            type='LatentVitDecoder', image_size=256, patch_size=16, num_tokens=128, dim=512,
            num_layers=8, num_heads=8,
            proxy=(1024, 256), proxy_decoder=_base_.model.tokenizer.decoder),
        pixels=dict(type='Pixels', range=(0, 1))))
