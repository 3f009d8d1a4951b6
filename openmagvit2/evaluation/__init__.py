"""Metrics of reconstructions and samples."""

from openmagvit2.evaluation import metrics

__all__ = ['metrics']
