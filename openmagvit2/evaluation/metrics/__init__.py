"""Evaluators, and their names on the command line."""

from openmagvit2.evaluation.metrics.codebook_usage import CodebookUsage
from openmagvit2.evaluation.metrics.fid import ReconstructionFrechet
from openmagvit2.evaluation.metrics.likelihood import NegativeLogLikelihood
from openmagvit2.evaluation.metrics.lpips import LPIPS
from openmagvit2.evaluation.metrics.pixels import PSNR, SSIM
from openmagvit2.evaluation.metrics.samples import (
    SampleFrechet,
    SampleInceptionScore,
    SamplePrecisionRecall,
)

# What `tools/test.py --metrics` calls them.
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

__all__ = [
    'LPIPS',
    'PSNR',
    'SHORT_NAMES',
    'SSIM',
    'CodebookUsage',
    'NegativeLogLikelihood',
    'ReconstructionFrechet',
    'SampleFrechet',
    'SampleInceptionScore',
    'SamplePrecisionRecall',
]
