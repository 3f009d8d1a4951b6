"""Rotary angles by position, compared with the written-out formula."""

import math

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.errors import UserError
from openmagvit2.models.layers.rope import apply_rope, grid_cells, rope, rope_table


@pytest.mark.parametrize(
    ('axes', 'head_dim', 'pairs'),
    [(1, 8, [4]), (2, 12, [3, 3]), (2, 14, [4, 3]), (3, 16, [4, 2, 2]), (3, 18, [3, 3, 3])],
)
def test_pairs_are_split_over_the_axes(axes, head_dim, pairs):
    cell = [5, 3, 7][:axes]
    table = rope(torch.tensor([cell]), head_dim)
    angles = [x * 10000 ** (-j / n) for x, n in zip(cell, pairs, strict=True) for j in range(n)]
    assert_close(table[0, :, 0], torch.tensor([math.cos(a) for a in angles]), atol=1e-5, rtol=0)
    assert_close(table[0, :, 1], torch.tensor([math.sin(a) for a in angles]), atol=1e-5, rtol=0)


def test_prefix_rows_have_neither_cosine_nor_sine():
    cells = torch.tensor([[-1, -1, -1], [0, 0, 0], [-1, -1, -1], [1, 2, 0]])
    table = rope(cells.expand(2, -1, -1), 12)
    assert table.shape == (2, 4, 6, 2) and not table[:, [0, 2]].any()
    # Cell 0 turns by nothing: cosine 1, sine 0.
    assert table[:, 1, :, 0].eq(1).all() and not table[:, 1, :, 1].any()


@pytest.mark.parametrize('grid', [(5,), (2, 3), (2, 3, 4)])
def test_tables_list_cells_in_raster_order(grid):
    cells = grid_cells(grid)
    assert cells.shape == (math.prod(grid), len(grid))
    assert cells.tolist() == [
        list(c) for c in torch.cartesian_prod(*map(torch.arange, grid)).view(-1, len(grid)).tolist()
    ]
    table = rope_table(grid, 16)
    assert table.shape == (1 + len(cells), 8, 2) and not table[0].any()
    assert_close(table[1:], rope(cells, 16))


def test_turned_vectors_know_the_distance_alone():
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))

    def product(a, b):
        a, b = (rope(torch.tensor([cell]), 16) for cell in (a, b))
        return (apply_rope(q, a) * apply_rope(k, b)).sum()

    assert_close(product((1, 2, 3), (4, 4, 4)), product((0, 3, 5), (3, 5, 6)))
    assert (product((1, 2, 3), (4, 4, 4)) - product((1, 2, 3), (4, 5, 4))).abs() > 1e-3


def test_narrow_heads_are_named():
    for head_dim in (7, 4):
        with pytest.raises(UserError, match=f'over 3 axes .* of at least 6, .* = {head_dim}'):
            rope(grid_cells((2, 2, 2)), head_dim)
