"""Image sets that tests write."""

from pathlib import Path

import numpy as np


def save_npz(path: Path, images: np.ndarray) -> Path:
    np.savez(path, arr_0=images)
    return path


def random_images(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
