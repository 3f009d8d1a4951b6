# IBQ pretrained on about 200 M web images, 262,144 codes: expect rFID 1.53, PSNR 22.69, SSIM 0.64
# on ImageNet at 256x256 (repository). The schedule is that of ibq_256_16384_pretrain.py.
_base_ = './ibq_256_16384_pretrain.py'
model = dict(quantizer=dict(codebook_size=262144))
