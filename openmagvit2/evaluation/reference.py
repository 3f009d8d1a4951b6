"""The reference that samples are compared with."""

import zipfile
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from openmagvit2.evaluation.distributions import features
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.frechet import moments, sums
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.statistics_files import cached_moments, read_statistics
from openmagvit2.io import Color


class Reference:
    """A set of images, its statistics, or both, as in ADM's files.

    Args:
        path: An npz of images, of statistics (``mu``, ``sigma``), or of both; or a folder.
        extractor: The feature network.
        batch_size: Images at a time.
        skip_broken, background: See :class:`ImageSet`.

    Attributes:
        given: Statistics in the file, if any.
        images: The images, if any.
        count: Number of images that were used; None until then, and if ``given`` is used.

    Raises:
        UserError: The path is none of these.
    """

    def __init__(
        self,
        path: str | Path,
        extractor: FeatureExtractor,
        batch_size: int = 50,
        skip_broken: bool = False,
        background: Color = 'white',
    ) -> None:
        path = Path(path)
        self.extractor, self.batch_size = extractor, batch_size
        self.given = read_statistics(path, extractor.dim)
        self.images: ImageSet | None = None
        if not self.given or _has_images(path):
            self.images = ImageSet(path, skip_broken, background)
        self.count: int | None = None

    @cached_property
    def features(self) -> Tensor:
        """Features of the images, float32 (N, dim): 50,000 of 2,048 take 410 MB."""
        # Allocated at once: concatenating parts at the end would need twice the memory.
        kept, self.count = torch.empty(len(self.images), self.extractor.dim), 0
        for part in features(self.images, self.extractor, self.batch_size):
            kept[self.count : self.count + len(part)] = part
            self.count += len(part)
        return kept[: self.count]

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance: those in the file if any, else those of the images."""
        if self.given:
            return self.given
        if self.count is None:
            self.count, mean, cov = cached_moments(self.images, self.extractor, self.batch_size)
        else:
            total = sum(map(sums, self.features.split(self.batch_size)))
            _, mean, cov = moments(total, self.extractor.dim)
        return mean, cov


def _has_images(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return 'arr_0.npy' in archive.namelist()
