"""The feature slot: networks of distribution metrics."""

from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.evaluation.features.inception import FIDInception
from openmagvit2.evaluation.features.timm_network import TimmFeatures

__all__ = ['FIDInception', 'FeatureExtractor', 'TimmFeatures']
