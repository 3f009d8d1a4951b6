"""The encoder slot: map images to latents."""

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.encoders.cnn import CnnEncoder
from openmagvit2.models.encoders.latent_vit import LatentVitEncoder
from openmagvit2.models.encoders.patch_vit import VitEncoder
from openmagvit2.models.encoders.plain_vit import PlainVitEncoder
from openmagvit2.models.encoders.window_vit import WindowVitEncoder

__all__ = [
    'VitEncoder',
    'BaseEncoder',
    'CnnEncoder',
    'LatentVitEncoder',
    'PlainVitEncoder',
    'WindowVitEncoder',
]
