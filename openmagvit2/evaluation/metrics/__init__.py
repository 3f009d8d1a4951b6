"""Metrics; ``evaluation.names`` lists their names on the command line."""

from openmagvit2.evaluation.metrics.codebook_usage import CodebookUsage
from openmagvit2.evaluation.metrics.fid import ReconstructionFrechet
from openmagvit2.evaluation.metrics.likelihood import NegativeLogLikelihood
from openmagvit2.evaluation.metrics.lpips import LPIPS
from openmagvit2.evaluation.metrics.pixels import PSNR, SSIM
from openmagvit2.evaluation.metrics.sample_frechet import SampleFrechet
from openmagvit2.evaluation.metrics.sample_inception_score import SampleInceptionScore
from openmagvit2.evaluation.metrics.sample_pairs import SampleKernelDistance, SamplePrecisionRecall

__all__ = [
    'LPIPS',
    'PSNR',
    'SSIM',
    'CodebookUsage',
    'NegativeLogLikelihood',
    'ReconstructionFrechet',
    'SampleFrechet',
    'SampleInceptionScore',
    'SampleKernelDistance',
    'SamplePrecisionRecall',
]
