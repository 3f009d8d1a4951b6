"""Generated images against a reference: what ``tools/evaluate_npz.py`` does."""

from pathlib import Path

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
from openmagvit2.io import Colour
from openmagvit2.registry import FEATURES
from openmagvit2.signatures import accepted


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
        skip_broken, background: See :class:`ImageSet`.
        config: Config of the generator; ``samples`` is then its checkpoint.
        num_per_class, seed: Images of each class at the config's ``eval_sampling``, as
            ``sample_npz`` writes them.
        drawn: Draw the class of each image among all classes.
        rejection: Keys that go over those of the config's ``eval_rejection``.

    Raises:
        UserError: An argument or a file is wrong; raised before the first image where possible.
    """
    _check_options(config is not None, drawn or rejection, batch_size, num_per_class)
    place = usable_device(device or default_device(), f'--device {device}')
    extractor = _network(features or dict(type='FIDInception'))
    against = Reference(reference, extractor, batch_size, skip_broken, background)
    chosen = choose_metrics(metrics, against)
    extractor.prepare(place)
    if config is None:
        images, made = ImageSet(samples, skip_broken, background), {}
    else:
        generator = Generator.from_config(config, samples, place)
        images = _sampled(generator, num_per_class, seed, drawn, rejection)
        made = dict(config=str(config), **images.describe())
    result = compare(images, against, chosen, batch_size)
    result.samples = _file(samples, images) | made | result.samples
    result.reference = _file(reference, against.images) | result.reference
    return result


def _sampled(
    generator: Generator, num_per_class: int, seed: int, drawn: bool, rejection: dict | None
) -> SampleSet:
    labels = generator.model.conditioner.classes(
        'sample its conditions in Python, and compare the folder of the images'
    )
    rejecting = build_rejection(generator.rejection | (rejection or {}))
    how = (num_per_class, generator.sampling, seed, rejecting)
    return SampleSet(generator.model, RANDOM if drawn else labels, *how)


def _check_options(sampled: bool, choice: object, *numbers: int) -> None:
    if min(numbers) < 1:
        raise UserError('--batch-size and --num-per-class must be at least 1.')
    if choice and not sampled:
        raise UserError('--labels and --rejection go with --config: a set has its images.')


def _file(path: str | Path, images: Images | None) -> dict:
    """Return what the record calls a file or folder, and its hash."""
    whole = images.hash() if isinstance(images, ImageSet) else file_hash(Path(path))
    return dict(file=str(path), sha256=whole)


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
