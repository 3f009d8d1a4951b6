# IBQ pretrained on about 200 M web images, 262,144 codes: expect rFID 1.53, PSNR 22.69, SSIM 0.64
# on ImageNet at 256x256 (repository). 1.5 M iterations at a constant learning rate: the official
# drops at iterations 50 and 100 look like a left-over.
_base_ = './ibq_256_16384_pretrain.py'
model = dict(quantizer=dict(codebook_size=262144))
