"""Attention masks of sequences that are predicted in sets."""

import torch

from openmagvit2.models.layers.masks import causal_mask, group_mask, group_numbers, with_prefix

CPU = torch.device('cpu')


def test_a_row_sees_its_set_and_all_before():
    sets = [0, 0, 0, 1, 2, 2]
    seen = [[a >= b for b in sets] for a in sets]
    assert group_mask(group_numbers((3, 1, 2), CPU), 6, 6).tolist() == seen
    # Behind a cache of three rows, of the five so far.
    assert group_mask(group_numbers((3, 1, 2), CPU), 2, 5).tolist() == [
        row[:5] for row in seen[3:5]
    ]


def test_sets_of_one_are_causal_and_one_set_is_full():
    assert group_mask(group_numbers((1,) * 5, CPU), 3, 5).equal(causal_mask(3, 5, CPU))
    assert group_mask(group_numbers((4,), CPU), 4, 4).all()


def test_prefix_rows_belong_to_the_first_set():
    assert with_prefix((1, 4, 9), 2) == (3, 4, 9)
