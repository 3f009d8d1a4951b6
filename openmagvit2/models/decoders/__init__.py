"""The decoder slot: map codes to images."""

from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.decoders.cnn import CnnDecoder
from openmagvit2.models.decoders.latent_vit import LatentVitDecoder
from openmagvit2.models.decoders.patch_vit import VitDecoder
from openmagvit2.models.decoders.plain_vit import PlainVitDecoder
from openmagvit2.models.decoders.window_vit import WindowVitDecoder

__all__ = [
    'VitDecoder',
    'BaseDecoder',
    'CnnDecoder',
    'LatentVitDecoder',
    'PlainVitDecoder',
    'WindowVitDecoder',
]
