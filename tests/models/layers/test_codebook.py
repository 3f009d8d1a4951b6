"""The codebook: nearest rows, its update once per iteration, restarts."""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.models.layers.codebook import Codebook, nearest
from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.models.quantizers import VQ


def latents(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(size: int = 8, dim: int = 3, **settings) -> Codebook:
    torch.manual_seed(0)
    codebook = Codebook().train()
    codebook.add_table(size, dim, **settings)
    return codebook


def test_nearest_row_in_blocks():
    x, table = latents(50, 4), latents(30, 4, seed=1)
    table[7] = table[3]
    wanted = torch.cdist(x.double(), table.double()).argmin(-1)
    assert (wanted == 3).any()
    # Blocks of two vectors; of equal rows the first.
    assert nearest(x, table, max_elements=60).equal(wanted)


AVERAGES = dict(ema_decay=0.9, restart_after=3)


@pytest.mark.parametrize(
    'settings', [AVERAGES, dict(restart_after=2), AVERAGES | dict(ema_smoothing=1e-5)]
)
def test_micro_batches_move_the_table_as_the_whole_batch(settings):
    whole, parts = make(**settings), make(**settings)
    for step in range(4):
        # Rows 5, 6 and 7 are never chosen, and restart.
        rows, x = torch.randint(5, (12,)), latents(12, 3, seed=step)
        torch.manual_seed(step)
        whole.note(rows, x)
        torch.manual_seed(step)
        with one_iteration(parts):
            for few, y in zip(rows.chunk(3), x.chunk(3), strict=True):
                before = {name: value.clone() for name, value in parts.state_dict().items()}
                parts.note(few, y)
                for name, value in parts.state_dict().items():
                    assert value.equal(before[name]), 'a micro-batch must leave the table'
        for name, value in parts.state_dict().items():
            assert_close(value, whole.state_dict()[name], msg=name)


@pytest.mark.parametrize('settings', [dict(), dict(ema_decay=0.9)])
def test_a_row_restarts_after_its_iterations_alone(settings):
    codebook = make(restart_after=3, **settings)
    start, x = codebook.table.detach().clone(), latents(10, 3)
    for step in range(1, 4):
        codebook.note(torch.arange(10) % 6, x)
        changed = (codebook.table.detach() - start).abs().amax(1) > 1e-6
        assert changed[6:].all() == (step == 3)
    # Rows 6 and 7 are latents of the batch, and different ones.
    found = torch.cdist(codebook.table.detach()[6:], x)
    assert_close(found.amin(1), torch.zeros(2), atol=1e-3, rtol=0)
    assert len(set(found.argmin(1).tolist())) == 2
    assert codebook.steps_unused.tolist() == [0] * 8
    if not settings:
        assert not changed[:6].any()


def test_a_row_below_its_count_restarts_with_noise_where_latents_are_few():
    codebook = make(ema_decay=0.99, restart_below=1.0)
    assert not codebook.code_count.any()
    x = latents(2, 3)
    codebook.note(torch.tensor([0, 0]), x)
    # Two latents for eight rows: four copies of each, all different.
    assert codebook.code_count.tolist() == [1.0] * 8
    distances = torch.cdist(codebook.table, x)
    assert (distances.amin(1) <= 0.01 + 1e-6).all()
    assert torch.bincount(distances.argmin(1)).tolist() == [4, 4]
    assert len(codebook.table.unique(dim=0)) == 8


def test_two_passes_before_the_backward_pass():
    vq = VQ(codebook_size=6, code_dim=2, l2_norm=False, restart_after=1, entropy=True)
    torch.nn.init.normal_(vq.embedding.weight, generator=torch.Generator().manual_seed(0))
    z = latents(2, 2, 4)
    tables, losses = [], []
    for part in z.chunk(2):
        tables.append(vq.embedding.weight.detach().clone())
        losses.append(vq(part).losses['codebook'])
    assert not tables[0].equal(tables[1]), 'unused rows must have been set anew'
    sum(losses).backward()
    wanted = torch.zeros(6, 2)
    for table, part in zip(tables, z.chunk(2), strict=True):
        x = part[0].T
        for vector, row in zip(x, nearest(x, table), strict=True):
            # Of the mean over 4 vectors of 2 channels.
            wanted[row] += 2 * (table[row] - vector) / 8
    assert_close(vq.embedding.weight.grad, wanted)


def test_a_table_that_does_not_move_gathers_nothing():
    codebook = make()
    with one_iteration(codebook):
        codebook.note(torch.arange(8), latents(8, 3))
        assert codebook.gathered == []
    assert set(codebook.state_dict()) == {'embedding.weight'}
