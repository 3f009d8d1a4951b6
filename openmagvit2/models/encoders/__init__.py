"""The encoder slot: image to latent."""

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.encoders.cnn import CnnEncoder

__all__ = ['BaseEncoder', 'CnnEncoder']
