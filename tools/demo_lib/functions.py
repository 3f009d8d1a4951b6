"""Everything that the demo computes, from arrays to arrays."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.errors import UserError
from openmagvit2.evaluation.pixel_errors import psnr_of_images
from openmagvit2.io import read_image
from openmagvit2.visualization import image_grid, shrink

# Differences are small, so their picture shows them magnified by this factor.
GAIN = 4
MAX_SAMPLES = 64
# The page enlarges pictures that are smaller than this many pixels.
SHOWN = 256


@dataclass
class Reconstruction:
    """Four pictures uint8 (H, W, 3), the PSNR in dB, and the size of the tokens in bits."""

    original: np.ndarray
    reconstruction: np.ndarray
    difference: np.ndarray
    tokens: np.ndarray
    psnr: float
    bits: float

    def text(self) -> str:
        """Return the numbers in one line."""
        height, width = self.original.shape[:2]
        return (
            f'{width}x{height} pixels, PSNR {self.psnr:.2f} dB, {self.bits:,.0f} bits '
            f'({self.bits / (height * width):.3f} a pixel)'
        )


def enlarge(picture: np.ndarray) -> np.ndarray:
    """Enlarge a small picture (H, W, 3) for the page: each pixel becomes a square."""
    times = max(1, SHOWN // max(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


def fit(image: str | Image.Image | np.ndarray, side: int) -> np.ndarray:
    """Read a picture as every tool does, and shrink its longer side to at most ``side`` pixels."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    return shrink(read_image(image), side)


def reconstruct(
    tokenizer: Tokenizer, image: str | Image.Image | np.ndarray, side: int
) -> Reconstruction:
    """Encode and decode a picture, given as an array, an image or a file.

    Raises:
        UserError: The file cannot be read.
    """
    original = fit(image, side)
    height, width = original.shape[:2]
    indices = tokenizer.encode(original)
    again = tokenizer.decode(indices)[0, :height, :width]
    difference = np.abs(original.astype(int) - again) * GAIN
    sizes = tokenizer.model.quantizer.codebook_sizes
    places = indices.numel() // len(sizes)
    return Reconstruction(
        original,
        again,
        difference.clip(0, 255).astype(np.uint8),
        token_map(indices[0].cpu().numpy(), len(sizes), (height, width)),
        psnr_of_images(original, again),
        places * sum(math.log2(size) for size in sizes),
    )


def token_map(indices: np.ndarray, digits: int, size: tuple[int, int]) -> np.ndarray:
    """Draw each token as a color, equal tokens in equal colors, as uint8 (*size, 3).

    Args:
        indices: (h, w) or (N,), plus a last axis of digits if there are several.
        digits: Digits of a token.
        size: Height and width of the picture; latent tokens (N,) are drawn row by row.
    """
    if digits > 1:
        indices = indices.reshape(-1, digits) if indices.ndim == 2 else indices
        mixed = np.zeros(indices.shape[:-1], np.int64)
        for i in range(digits):
            mixed = mixed * 1_000_003 + indices[..., i]
        indices = mixed
    if indices.ndim == 1:
        columns = math.isqrt(len(indices) - 1) + 1
        indices = np.pad(indices, (0, -len(indices) % columns)).reshape(-1, columns)
    # Multiples of the golden ratio and of other irrational numbers give neighboring indices very
    # different colors.
    steps = np.array([0.6180339887, 0.7548776662, 0.5698402910])
    colors = (indices.astype(np.float64)[..., None] * steps % 1 * 255).astype(np.uint8)
    picture = Image.fromarray(colors).resize(size[::-1], Image.Resampling.NEAREST)
    return np.array(picture)


def sample(
    generator: Generator,
    label: int,
    number: int,
    seed: int,
    guidance: float,
    temperature: float,
    top_k: int,
    top_p: float,
) -> np.ndarray:
    """Sample a grid of one class, uint8; ``top_k=0`` and ``top_p=1`` keep all tokens.

    Raises:
        UserError: There are too many samples, or a setting is out of range.
    """
    if not 1 <= number <= MAX_SAMPLES:
        raise UserError(f'Choose 1 to {MAX_SAMPLES} samples, not {number}.')
    images = generator.sample(
        [int(label)] * int(number),
        seed=int(seed),
        guidance=float(guidance),
        temperature=float(temperature),
        top_k=int(top_k),
        top_p=float(top_p),
    )
    columns = math.isqrt(len(images) - 1) + 1
    rows = [list(images[i : i + columns]) for i in range(0, len(images), columns)]
    return image_grid(rows, scale=max(1, 128 // images.shape[1]))
