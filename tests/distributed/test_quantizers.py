"""Quantizers in two processes equal one process on the joint batch."""

import pytest
import torch
from torch.testing import assert_close
from two_processes import run_in_two

from openmagvit2.models.quantizers import LFQ, VQ


def batch() -> torch.Tensor:
    return 0.02 * torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(3))


def make_vq() -> VQ:
    torch.manual_seed(5)
    return VQ(codebook_size=32, code_dim=6, l2_norm=False, ema_decay=0.8, restart_after=2)


def _work(rank: int, folder: str) -> None:
    z = batch()[2 * rank : 2 * rank + 2].requires_grad_()
    out = LFQ(num_bits=6, entropy_sync=True)(z)
    (grad,) = torch.autograd.grad(out.losses['entropy'], z)
    vq = make_vq()
    for _ in range(4):
        vq(batch()[2 * rank : 2 * rank + 2])
    entropies = dict(
        codebook=out.stats['codebook_entropy'], per_sample=out.stats['per_sample_entropy']
    )
    torch.save(dict(entropies, grad=grad, vq=vq.state_dict()), f'{folder}/{rank}.pt')


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    run_in_two(_work, folder)
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]


def test_synchronized_entropy(two):
    z = batch().requires_grad_()
    out = LFQ(num_bits=6)(z)
    (grad,) = torch.autograd.grad(out.losses['entropy'], z)
    for part in two:
        assert_close(part['codebook'], out.stats['codebook_entropy'], atol=1e-6, rtol=0)
    assert_close(
        (two[0]['per_sample'] + two[1]['per_sample']) / 2,
        out.stats['per_sample_entropy'],
        atol=1e-6,
        rtol=0,
    )
    # Data parallelism averages the gradients of the processes.
    assert_close(torch.cat([part['grad'] for part in two]) / 2, grad, atol=1e-6, rtol=1e-5)


def test_tables_stay_equal_and_count_all_processes(two):
    for name, value in two[0]['vq'].items():
        assert value.equal(two[1]['vq'][name]), name
    once = make_vq()
    once(batch())
    first = make_vq()
    assert not two[0]['vq']['embedding.weight'].equal(first.embedding.weight)
    # Counts are of both halves: 4 steps of 100 tokens from a count of 1 each.
    expected = 32 * 0.8**4 + 100 * (1 - 0.8**4)
    assert two[0]['vq']['code_count'].sum().item() == pytest.approx(expected, rel=0.25)
