"""A set of samples of a generator: their labels and numbers, and how they are drawn."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openmagvit2.dtypes import to_bytes
from openmagvit2.errors import UserError
from openmagvit2.evaluation.rejection import Rejection
from openmagvit2.models.conditioners.base import Conditioner

# Value of `labels` if the label of each sample is drawn.
RANDOM = 'random'
# 200 times the usual 50,000; a list of as many labels still fits in memory.
MOST = 10_000_000
# Label of each sample, and its number among the samples of that label.
Pairs = Sequence[tuple[int, int]]


class SampleSet:
    """Samples of a generator, each a function of seed, label and number.

    The set does not depend on how it is split into batches and over processes. It can be measured
    (:class:`~openmagvit2.evaluation.distributions.Images`).

    Args:
        model: The generator.
        labels: Unique classes, or other conditions that the model's conditioner accepts; None: all
            classes; 'random': a random class for each sample.
        num_per_class: Samples per label; with random labels, on average.
        sampling: Sampling settings.
        seed: Random seed of samples and random labels.
        rejection: Draw more samples of each label, and keep the most probable.
        key: Config key or option of the labels, for errors.

    Raises:
        UserError: A label, the seed or a setting is out of range; or the classifier of the
            rejection has no weights, or lacks a class.
    """

    def __init__(
        self,
        model: Any,
        labels: Sequence | str | None,
        num_per_class: int,
        sampling: Mapping[str, Any],
        seed: int = 0,
        rejection: Rejection | None = None,
        key: str = 'labels',
    ) -> None:
        self.model, self.sampling, self.seed = model, dict(sampling), seed
        self.num_per_class, self.rejection = num_per_class, rejection
        self.name, self.size = 'samples', None
        self.skipped: list[str] = []
        self.labels, self.drawn = listed(labels, model.conditioner, key)
        model.check(self.labels, self.sampling, seed, once=True)
        if rejection:
            rejection.prepare(self.labels, next(model.parameters()).device)
        self.pairs = sample_pairs(self.labels, num_per_class, seed, self.drawn)

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield arrays uint8 (B, H, W, 3)."""
        for part in self.parts(size):
            yield self.images(part, size).movedim(1, -1).cpu().numpy()

    def parts(self, size: int) -> list[Pairs]:
        """Split the set into parts of ``size`` samples; with a rejection, into one per label."""
        if self.rejection:
            return by_class(self.pairs)
        return [self.pairs[i : i + size] for i in range(0, len(self.pairs), size)]

    def images(self, part: Pairs, batch_size: int) -> Tensor:
        """Return the images of a part; see :func:`draw`."""
        return draw(self.model, part, self.sampling, self.seed, batch_size, self.rejection)

    def describe(self) -> dict[str, Any]:
        """Return the settings that determine the samples, for a record."""
        record = dict(
            num_per_class=self.num_per_class,
            labels=RANDOM if self.drawn else len(self.labels),
            seed=self.seed,
            sampling=self.sampling,
        )
        return record | (dict(rejection=self.rejection.describe()) if self.rejection else {})


def draw(
    model: Any,
    pairs: Pairs,
    sampling: Mapping[str, Any],
    seed: int = 0,
    batch_size: int = 50,
    rejection: Rejection | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Sample images in batches, uint8 (N, 3, H, W).

    With a rejection, more images of each label are drawn, and as many are kept as the label has
    pairs. They are ordered by label; the numbers of the pairs are not used.

    Args:
        model: The generator.
        pairs: Label of each image, and its number among the samples of that label.
        sampling, seed, rejection: See :class:`SampleSet`.
        batch_size: Images at a time; the result does not depend on it.
        device: Device of the result; that of the model by default.
    """
    place = device or next(model.parameters()).device

    def images(labels: Sequence[int], numbers: Sequence[int]) -> Tensor:
        return to_bytes(model.images(labels, sampling, seed, numbers)).to(place)

    if rejection:
        counts = Counter(label for label, _ in pairs)
        return torch.cat([rejection.best(images, *count, batch_size) for count in counts.items()])
    batches = (pairs[i : i + batch_size] for i in range(0, len(pairs), batch_size))
    return torch.cat([images(*zip(*batch, strict=True)) for batch in batches])


def listed(
    labels: Sequence[int] | str | None, conditioner: Conditioner, key: str
) -> tuple[Sequence[int], bool]:
    """Return the classes of samples, and whether the class of each sample is drawn from them.

    Args:
        labels: Classes; 'random', or None for all of them.
        conditioner: The generator's conditioner.
        key: Config key or option of the labels, for the error.

    Raises:
        UserError: ``labels`` is another string, or the conditioner has no classes.
    """
    if not isinstance(labels, (str, type(None))):
        return labels, False
    if labels not in (None, RANDOM):
        raise UserError(f'{key} must be a list or {RANDOM!r}, got {labels!r}.')
    return conditioner.classes(f'give its conditions as {key}'), labels == RANDOM


def sample_pairs(
    labels: Sequence[int], num_per_class: int, seed: int = 0, drawn: bool = False
) -> list[tuple[int, int]]:
    """Return the label of each sample, and its number among the samples of that label.

    Args:
        labels: Unique labels.
        num_per_class: Samples per label; with ``drawn``, on average.
        seed: Random seed of drawn labels.
        drawn: Draw the label of each sample uniformly (as LlamaGen), instead of label by label.

    Raises:
        UserError: There would be more than ``MOST`` samples.
    """
    count = len(labels) * num_per_class
    if count > MOST:
        raise UserError(f'{count} samples are too many; sample at most {MOST} at a time.')
    if not drawn:
        return [(label, number) for label in labels for number in range(num_per_class)]
    places = np.random.default_rng([seed, count]).integers(len(labels), size=count)
    seen: Counter[int] = Counter()
    pairs = []
    for place in places.tolist():
        pairs.append((labels[place], seen[place]))
        seen[place] += 1
    return pairs


def by_class(pairs: Pairs) -> list[Pairs]:
    """Group (label, number) of samples by label, in order of appearance."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for label, number in pairs:
        groups.setdefault(label, []).append((label, number))
    return list(groups.values())
