"""Draw the two pictures of the quickstart."""

from pathlib import Path

import numpy as np

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.visualization import image_grid, save_image


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Map uint8 (N, 28, 28) to (N, 28, 28, 3)."""
    return np.repeat(images[..., None], 3, -1)


def draw_reconstructions(
    tokenizer: Tokenizer, images: np.ndarray, labels: np.ndarray, path: Path
) -> None:
    """Write the first image of each class, uint8 (N, H, W, 3), above its reconstruction."""
    originals = [images[np.flatnonzero(labels == label)[0]] for label in np.unique(labels)]
    save_image(image_grid([originals, tokenizer.reconstruct(originals)], scale=3), path)


def draw_samples(generator: Generator, per_class: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write a grid with a row of samples for each class.

    Returns:
        Images uint8 (classes * per_class, H, W, 3), and their labels (classes * per_class,).
    """
    labels = np.repeat(np.arange(generator.model.num_classes), per_class)
    samples = generator.sample(labels, seed=0)
    save_image(image_grid([samples[labels == label] for label in np.unique(labels)], scale=2), path)
    return samples, labels
