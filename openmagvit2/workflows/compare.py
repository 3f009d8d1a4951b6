"""Generated images against a reference: what ``tools/evaluate_npz.py`` does."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from openmagvit2.apis.generator import Generator
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.config.annotations import check_options
from openmagvit2.engine.device import default_device
from openmagvit2.errors import UserError
from openmagvit2.evaluation.comparison import Reference, Result, choose_metrics, compare
from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.rejection import build_rejection
from openmagvit2.evaluation.sample_labels import RANDOM, by_class, sample_pairs
from openmagvit2.io import Colour
from openmagvit2.registry import FEATURES
from openmagvit2.signatures import accepted


class SampledImages:
    """A generator as a set of images at the config's ``eval_sampling``, class after class; the same
    images as ``sample_npz`` writes.

    Args:
        generator: Samples.
        num_per_class: Images of each class.
        seed: Random seed for sampling.
        drawn: Draw the class of each image among all classes.
        rejection: Keys that go over those of the config's ``eval_rejection``.
    """

    def __init__(
        self,
        generator: Generator,
        num_per_class: int = 50,
        seed: int = 0,
        drawn: bool = False,
        rejection: dict | None = None,
    ) -> None:
        self.generator, self.num_per_class, self.seed = generator, num_per_class, seed
        self.drawn = drawn
        self.rejection = build_rejection(generator.rejection | (rejection or {}))
        self.name, self.size = 'samples', None
        self.skipped: list[str] = []
        classes = generator.model.conditioner.classes(
            'sample its conditions in Python, and compare the folder of the images'
        )
        self.pairs = sample_pairs(classes, num_per_class, seed, drawn)
        if self.rejection:
            self.rejection.prepare(classes, generator.device)

    def __len__(self) -> int:
        return len(self.pairs)

    def settings(self, config: str | Path) -> dict:
        """Return settings for the record: the generator's config, and how it samples."""
        more = dict(labels=RANDOM) if self.drawn else {}
        if self.rejection:
            more |= dict(rejection=self.rejection.describe())
        return dict(
            config=str(config),
            num_per_class=self.num_per_class,
            seed=self.seed,
            sampling=self.generator.sampling,
            **more,
        )

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Return arrays uint8 (B, H, W, 3)."""
        chunks = (self.pairs[start : start + size] for start in range(0, len(self), size))
        for pairs in by_class(self.pairs) if self.rejection else chunks:
            yield self.generator.sample_pairs(
                pairs, seed=self.seed, batch_size=size, rejection=self.rejection
            )


def compare_sets(
    samples: str | Path,
    reference: str | Path,
    metrics: tuple[str, ...] | None = None,
    features: dict | None = None,
    batch_size: int = 50,
    device: str | None = None,
    skip_broken: bool = False,
    config: str | Path | None = None,
    num_per_class: int = 50,
    seed: int = 0,
    background: Colour = 'white',
    drawn: bool = False,
    rejection: dict | None = None,
) -> Result:
    """Compare ``samples`` with ``reference``; the result records files, hashes and versions.

    Args:
        samples: npz, folder, or with ``config`` the checkpoint of a generator.
        reference: npz of images or statistics, or folder.
        metrics: Names in ``names.METRICS``; default: all that the reference allows but KID.
        features: Config of the feature network; default: the FID Inception.
        batch_size: Images at a time.
        device: Device of network and generator; default: see :func:`init_model`.
        skip_broken: Leave out files of a folder that cannot be read.
        config: Config of the generator; ``samples`` is then its checkpoint.
        num_per_class, seed, drawn, rejection: See :class:`SampledImages`.
        background: Colour behind transparent pixels of a folder's files.

    Raises:
        UserError: An argument or a file is wrong; raised before the first image where possible.
    """
    device = _checked(batch_size, num_per_class, device or default_device())
    extractor = _network(features or dict(type='FIDInception'))
    against = Reference(reference, extractor.dim, skip_broken, background)
    chosen = choose_metrics(metrics, against)
    # Report missing weights before a generator samples for hours.
    extractor.prepare(device)
    if config is None:
        _check_options(drawn, rejection)
        images = ImageSet(samples, skip_broken, background)
    else:
        generator = Generator.from_config(config, samples, device)
        images = SampledImages(generator, num_per_class, seed, drawn, rejection)
    result = compare(images, against, extractor, chosen, batch_size, device)
    result.samples = _named(images, samples, config) | result.samples
    whole = against.images.hash() if against.images else file_hash(Path(reference))
    result.reference = dict(file=str(reference), sha256=whole) | result.reference
    result.versions = {name: version(name) for name in ('torch', 'torch-fidelity')}
    return result


def _check_options(drawn: bool, rejection: dict | None) -> None:
    if drawn or rejection:
        raise UserError('--labels and --rejection go with --config: a set has its images.')


def _named(
    images: ImageSet | SampledImages, samples: str | Path, config: str | Path | None
) -> dict:
    """Return what the record says of the samples: file, hash, and how they were sampled."""
    if isinstance(images, ImageSet):
        return dict(file=str(samples), sha256=images.hash())
    return dict(file=str(samples), sha256=file_hash(Path(samples)), **images.settings(config))


def _network(config: dict) -> FeatureExtractor:
    """Return the network of a config, whose keys come from the command line."""
    kind = FEATURES.find(config['type'])
    known = accepted(kind) if kind is not None else set(config)
    for key in config.keys() - known - {'type'}:
        raise UserError(
            f'--features-options: {kind.__name__} takes no `{key}`; it takes '
            f'{", ".join(sorted(known)) or "none"}.'
        )
    check_options('--features-options', config, kind)
    return FEATURES.build(config)


def _checked(batch_size: int, num_per_class: int, device: str) -> str:
    """Check numbers and device before anything is read; return the device."""
    if min(batch_size, num_per_class) < 1:
        raise UserError('--batch-size and --num-per-class must be at least 1.')
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {device}: {str(error).splitlines()[0]}') from None
    return device
