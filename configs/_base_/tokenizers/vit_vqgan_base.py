# Networks of ViT-VQGAN's base tokenizer: 32x32 tokens, 8192 codes.
model = dict(
    tokenizer=dict(
        type='VisualTokenizer',
        encoder=dict(
            type='VitEncoder', image_size=256, patch_size=8, dim=768, num_layers=12, num_heads=12,
            head_dim=64, hidden=3072),
        quantizer=dict(
            type='VQ', codebook_size=8192, code_dim=32, l2_norm=True, raw_gradient=True,
            restart_after=None),
        decoder=dict(
            type='VitDecoder', image_size=256, patch_size=8, dim=768, num_layers=12, num_heads=12,
            head_dim=64, hidden=3072),
        pixels=dict(type='Pixels', range=(0, 1))))
