# LlamaGen VQ-16 fine-tuned on pairs of texts and images (paper Table 5, LlamaGen†): expect rFID
# 2.47, PSNR 20.65, SSIM 0.54 on ImageNet and 8.40, 20.28, 0.55 on COCO, as measured by
# Open-MAGVIT2. Starts from vq_16.py's weights, with the discriminator from the first iteration;
# data and length are not published.
_base_ = './vq_16.py'
model = dict(training=dict(adversarial=dict(start=0)))
load_from = 'work_dirs/llamagen/vq_16/iter_400400.pth'
