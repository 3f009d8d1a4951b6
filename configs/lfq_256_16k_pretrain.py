# Open-MAGVIT2 pretrained on about 100 M web images, 2^14 codes (paper Table 5): expect rFID 2.55,
# PSNR 22.21, SSIM 0.62 on ImageNet at 256x256, and 1.39, 21.74, 0.56 at original resolution. Trains
# for 1.5 M iterations with a blur discriminator; after 5,000 iterations of warm-up, the learning
# rate follows a cosine to 1e-6.
_base_ = './lfq_256_262k_pretrain.py'
model = dict(
    quantizer=dict(num_bits=14),
    training=dict(
        adversarial=dict(
            discriminator=dict(_delete_=True, type='BlurPatchGAN', channels=128, num_stages=3))))
param_scheduler = [
    dict(type='WarmupDecayLR', warmup=5000, shape='cosine', final=0.01, by_epoch=False)]
