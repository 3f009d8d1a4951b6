"""Which samples a set of generated images has."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.base import Conditioner

# What stands in the place of a list of labels where they are drawn.
RANDOM = 'random'
# Two hundred times the field's 50,000: a list of them still has its place in memory.
MOST = 10_000_000


def listed(
    labels: Sequence[int] | str | None, conditioner: Conditioner, key: str
) -> tuple[Sequence[int], bool]:
    """Return the classes of samples, and whether the class of each sample is drawn among them.

    Args:
        labels: Classes; 'random', or None for all of them.
        conditioner: The generator's.
        key: What the labels are called, for the error.

    Raises:
        UserError: Another word; the conditioner has no classes.
    """
    if not isinstance(labels, (str, type(None))):
        return labels, False
    if labels not in (None, RANDOM):
        raise UserError(f'{key} must be a list or {RANDOM!r}, got {labels!r}.')
    return conditioner.classes(f'give its conditions as {key}'), labels == RANDOM


def sample_pairs(
    labels: Sequence[int], num_per_class: int, seed: int = 0, drawn: bool = False
) -> list[tuple[int, int]]:
    """Return the label of each sample, and its number within the label.

    Args:
        labels: Labels, each once.
        num_per_class: Samples of each label; with ``drawn`` on average.
        seed: Random seed for drawn labels, which do not depend on how a set is split.
        drawn: Draw the label of each sample uniformly (LlamaGen), instead of label by label.

    Raises:
        UserError: There would be more than ``MOST``.
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


def by_class(pairs: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Return (label, number) of samples as one list for each label, in order of appearance."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for label, number in pairs:
        groups.setdefault(label, []).append((label, number))
    return iter(groups.values())
