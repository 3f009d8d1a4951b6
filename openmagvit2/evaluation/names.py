"""Command line names of the metrics; a tool's --help imports only this file."""

# Names of `tools/test.py --metrics`.
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

# Protocols of PSNR, SSIM and rFID for `tools/test.py --protocol`.
PROTOCOLS = ('corrected', 'official')

# Metrics of two sets of images for `tools/evaluate_npz.py --metrics`.
METRICS = ('fd', 'is', 'precision_recall', 'kid')
