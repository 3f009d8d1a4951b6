"""Pictures."""

from openmagvit2.visualization.grids import image_grid, save_image

__all__ = ['image_grid', 'save_image']
