"""Which samples a set of generated images has."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

# What stands in the place of a list of labels where they are drawn.
RANDOM = 'random'


def sample_pairs(
    labels: Sequence[int], num_per_class: int, seed: int = 0, drawn: bool = False
) -> list[tuple[int, int]]:
    """Return the label of each sample, and its number within the label.

    Args:
        labels: Labels, each once.
        num_per_class: Samples of each label; with ``drawn`` on average.
        seed: Random seed for drawn labels, which do not depend on how a set is split.
        drawn: Draw the label of each sample uniformly (LlamaGen), instead of label by label.
    """
    if not drawn:
        return [(label, number) for label in labels for number in range(num_per_class)]
    count = len(labels) * num_per_class
    places = np.random.default_rng([seed, count]).integers(len(labels), size=count)
    seen: Counter[int] = Counter()
    pairs = []
    for place in places.tolist():
        pairs.append((labels[place], seen[place]))
        seen[place] += 1
    return pairs
