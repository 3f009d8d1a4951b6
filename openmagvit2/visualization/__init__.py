"""Grids of images, and in ``hooks`` the hooks that write them during a training."""

from openmagvit2.visualization.grids import image_grid, save_grid, save_image, shrink, to_uint8

__all__ = ['image_grid', 'save_grid', 'save_image', 'shrink', 'to_uint8']
