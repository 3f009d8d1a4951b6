"""The labels of a set of samples: balanced or drawn."""

from collections import Counter

from openmagvit2.evaluation.sample_set import sample_pairs


def test_balanced():
    assert sample_pairs([3, 1], 2) == [(3, 0), (3, 1), (1, 0), (1, 1)]


def test_drawn_labels_are_uniform_and_each_sample_is_another():
    pairs = sample_pairs(range(10), 500, seed=1, drawn=True)
    assert len(pairs) == len(set(pairs)) == 5000
    counts = Counter(label for label, _ in pairs)
    # Chi-squared with 9 degrees of freedom: 27.9 is the 99.9 % quantile; a balanced set has 0.
    chi = sum((counts[label] - 500) ** 2 / 500 for label in range(10))
    assert 1 < chi < 27.9
    assert {number for label, number in pairs if label == 4} == set(range(counts[4]))
    assert pairs == sample_pairs(range(10), 500, seed=1, drawn=True)
    assert pairs != sample_pairs(range(10), 500, seed=2, drawn=True)
