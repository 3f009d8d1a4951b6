"""Arrange images in grids and write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image, PngImagePlugin
from torch import Tensor

from openmagvit2.dtypes import to_bytes
from openmagvit2.io import write_atomically
from openmagvit2.io.image_files import GRID_MARK, GRID_NAME
from openmagvit2.signatures import Kind

# Columns of a hook's grid, which must fit in memory.
Columns = Annotated[int, Kind('an integer from 1 to 100', lambda x: 1 <= x <= 100)]


def to_uint8(images: Tensor) -> np.ndarray:
    """Map floats (B, 3, H, W) in [-1, 1] to uint8 (B, H, W, 3), clamped and rounded."""
    return to_bytes(images).permute(0, 2, 3, 1).cpu().numpy()


def image_grid(rows: Sequence[Sequence[np.ndarray]], gap: int = 2, scale: int = 1) -> np.ndarray:
    """Arrange uint8 images (H, W, 3) in rows on a white background; each cell has the size of the
    largest image.

    Args:
        rows: Rows of images, from the top.
        gap: White pixels between cells.
        scale: Each pixel becomes a square of this side.
    """
    height = max(image.shape[0] for row in rows for image in row)
    width = max(image.shape[1] for row in rows for image in row)
    columns = max(len(row) for row in rows)
    canvas = np.full(
        (len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas.repeat(scale, 0).repeat(scale, 1)


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink uint8 (H, W, 3) so that the longer side has at most ``side`` pixels; smaller images
    are unchanged.
    """
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(round(n * scale), 1) for n in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def save_image(image: np.ndarray, path: str | Path) -> None:
    """Write uint8 (H, W, 3) to ``path`` atomically, and create missing folders."""
    _write(image, Path(path))


def save_grid(rows: Sequence[Sequence[np.ndarray]], folder: str | Path) -> Path:
    """Write the :func:`image_grid` of rows as ``grid.png``, with a mark that readers of the folder
    recognize, and return its path.
    """
    path, info = Path(folder) / GRID_NAME, PngImagePlugin.PngInfo()
    info.add_text(*GRID_MARK)
    _write(image_grid(rows), path, pnginfo=info)
    return path


def _write(image: np.ndarray, path: Path, **options) -> None:
    kind = Image.registered_extensions()[path.suffix.lower()]
    with write_atomically(path) as file:
        Image.fromarray(image).save(file, format=kind, **options)
