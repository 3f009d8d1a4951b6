"""Comparison of generated images with a reference, as in ``tools/evaluate_npz.py``."""

from dataclasses import dataclass
from pathlib import Path

import torch

from openmagvit2.apis.generator import Generator
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.config.annotations import check_options
from openmagvit2.engine.device import default_device, usable_device
from openmagvit2.errors import UserError
from openmagvit2.evaluation.comparison import Result, choose_metrics, compare
from openmagvit2.evaluation.distributions import Images
from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.reference import Reference
from openmagvit2.evaluation.rejection import build_rejection
from openmagvit2.evaluation.sample_set import RANDOM, SampleSet
from openmagvit2.io import Color
from openmagvit2.registry import FEATURES
from openmagvit2.signatures import accepted


@dataclass
class Generated:
    """Samples of a generator, measured as they are drawn, instead of a file or folder of images.

    They are drawn with the config's ``eval_sampling``, as ``sample_npz`` does.

    Args:
        config, checkpoint: Config and checkpoint of the generator.
        num_per_class: Images per class.
        seed: Random seed.
        drawn: Draw the class of each image at random.
        rejection: Keys that override those of the config's ``eval_rejection``.

    Raises:
        UserError: ``num_per_class`` is below 1.
    """

    config: str | Path
    checkpoint: str | Path
    num_per_class: int = 50
    seed: int = 0
    drawn: bool = False
    rejection: dict | None = None

    def __post_init__(self) -> None:
        if self.num_per_class < 1:
            raise UserError(f'--num-per-class must be at least 1, got {self.num_per_class}.')

    def sample_set(self, device: torch.device) -> SampleSet:
        """Load the generator and return its samples, which are not drawn yet.

        Raises:
            UserError: The config, the checkpoint or the rejection is wrong, or the conditions are
                not classes.
        """
        generator = Generator.from_config(self.config, self.checkpoint, device)
        labels = generator.model.conditioner.classes(
            'sample its conditions in Python, and compare the folder of the images'
        )
        rejection = build_rejection(generator.rejection | (self.rejection or {}))
        return SampleSet(
            generator.model,
            RANDOM if self.drawn else labels,
            self.num_per_class,
            generator.sampling,
            self.seed,
            rejection,
        )


def compare_sets(
    samples: str | Path | Generated,
    reference: str | Path,
    *,
    metrics: tuple[str, ...] | None = None,
    features: dict | None = None,
    batch_size: int = 50,
    device: str | None = None,
    skip_broken: bool = False,
    background: Color = 'white',
) -> Result:
    """Compare ``samples`` with ``reference``; the result records files, hashes and versions.

    Args:
        samples: npz or folder of images, or what a generator samples.
        reference: npz of images or statistics, or folder.
        metrics: Names in ``names.METRICS``; by default all that the reference allows, except KID.
        features: Config of the feature network; the FID Inception by default.
        batch_size: Images at a time.
        device: Device of network and generator; default: see :func:`init_model`.
        skip_broken, background: See :class:`ImageSet`.

    Raises:
        UserError: An argument or a file is wrong; raised before the first image where possible.
    """
    if batch_size < 1:
        raise UserError(f'--batch-size must be at least 1, got {batch_size}.')
    place = usable_device(device or default_device(), f'--device {device}')
    extractor = _network(features or dict(type='FIDInception'))
    against = Reference(reference, extractor, batch_size, skip_broken, background)
    chosen = choose_metrics(metrics, against)
    extractor.prepare(place)
    images: Images
    if isinstance(samples, Generated):
        images = samples.sample_set(place)
        record = _file(samples.checkpoint, images)
        record |= dict(config=str(samples.config), **images.describe())
    else:
        images = ImageSet(samples, skip_broken, background)
        record = _file(samples, images)
    result = compare(images, against, chosen, batch_size)
    result.samples = record | result.samples
    result.reference = _file(reference, against.images) | result.reference
    return result


def _file(path: str | Path, images: Images | None) -> dict:
    """Return the path of a file or folder and its hash, for the record."""
    whole = images.hash() if isinstance(images, ImageSet) else file_hash(Path(path))
    return dict(file=str(path), sha256=whole)


def _network(config: dict) -> FeatureExtractor:
    """Build the network of a config whose keys are from the command line."""
    kind = FEATURES.find(config['type'])
    known = accepted(kind) if kind is not None else set(config)
    for key in config.keys() - known - {'type'}:
        raise UserError(
            f'--features-options: {kind.__name__} has no argument `{key}`; it has '
            f'{", ".join(sorted(known)) or "none"}.'
        )
    check_options('--features-options', config, kind)
    return FEATURES.build(config)
