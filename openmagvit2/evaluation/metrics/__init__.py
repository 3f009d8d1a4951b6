"""Evaluators."""

from openmagvit2.evaluation.metrics.codebook_usage import CodebookUsage
from openmagvit2.evaluation.metrics.likelihood import NegativeLogLikelihood
from openmagvit2.evaluation.metrics.pixels import PSNR, SSIM

__all__ = ['PSNR', 'SSIM', 'CodebookUsage', 'NegativeLogLikelihood']
