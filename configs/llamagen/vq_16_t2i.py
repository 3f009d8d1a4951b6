# LlamaGen VQ-16 fine-tuned on text-image pairs (paper Table 5, LlamaGen†): expect rFID 2.47, PSNR
# 20.65, SSIM 0.54 on ImageNet and 8.40, 20.28, 0.55 on COCO, as measured by Open-MAGVIT2. Training
# starts from the weights of vq_16.py, adversarially from the first iteration. The data and the
# length were not published.
_base_ = './vq_16.py'
model = dict(training=dict(adversarial=dict(start=0)))
load_from = 'work_dirs/llamagen/vq_16/iter_400400.pth'
