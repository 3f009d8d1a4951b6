"""Grids of images; ``hooks`` has the hooks that write them during training."""

from openmagvit2.visualization.grids import image_grid, save_grid, save_image, shrink, to_uint8

__all__ = ['image_grid', 'save_grid', 'save_image', 'shrink', 'to_uint8']
