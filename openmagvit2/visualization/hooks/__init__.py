"""Hooks that write a grid of images at every validation, with averaged weights if there are any.

Grids are written to ``<work_dir>/grids`` and to the backends of the config's ``visualizer``.
"""

from openmagvit2.visualization.hooks.reconstructions import ReconstructionGridHook
from openmagvit2.visualization.hooks.samples import SampleGridHook

__all__ = ['ReconstructionGridHook', 'SampleGridHook']
