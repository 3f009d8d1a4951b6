"""Names of what is measured, on the command line; the tools' --help imports this file alone."""

# What `tools/test.py --metrics` calls evaluators.
SHORT_NAMES = dict(
    psnr=dict(type='PSNR'),
    ssim=dict(type='SSIM'),
    usage=dict(type='CodebookUsage'),
    lpips_alex=dict(type='LPIPS', net='alex'),
    lpips_vgg=dict(type='LPIPS', net='vgg'),
    rfid=dict(type='ReconstructionFrechet', features=dict(type='FIDInception')),
    rfd_efficientnet_lite0=dict(type='ReconstructionFrechet', features=dict(type='TimmFeatures')),
    nll=dict(type='NegativeLogLikelihood'),
    fid=dict(type='SampleFrechet'),
    precision_recall=dict(type='SamplePrecisionRecall'),
) | {'is': dict(type='SampleInceptionScore')}

# How `tools/test.py --protocol` forms PSNR, SSIM and rFID.
PROTOCOLS = ('corrected', 'official')

# What `tools/evaluate_npz.py --metrics` computes of two sets of images.
METRICS = ('fd', 'is', 'precision_recall', 'kid')
