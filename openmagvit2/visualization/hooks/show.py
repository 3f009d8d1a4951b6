"""Output of grids."""

from pathlib import Path

import numpy as np

from openmagvit2.visualization.grids import save_image


def show(runner, name: str, grid: np.ndarray) -> None:
    """Write this iteration's grid (H, W, 3) to ``<work_dir>/grids`` and to the visualizer."""
    save_image(grid, Path(runner.work_dir) / 'grids' / f'{name}_iter_{runner.iter}.png')
    runner.visualizer.add_image(name, grid, runner.iter)
