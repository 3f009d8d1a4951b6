"""Grids of images, and hooks that write them."""

from openmagvit2.visualization.grids import image_grid, save_grid, save_image, to_uint8
from openmagvit2.visualization.hooks import ReconstructionGridHook, SampleGridHook

__all__ = [
    'ReconstructionGridHook',
    'SampleGridHook',
    'image_grid',
    'save_grid',
    'save_image',
    'to_uint8',
]
