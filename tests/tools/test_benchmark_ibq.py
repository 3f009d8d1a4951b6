"""The benchmark of IBQ compares two forms of the same computation."""

import pytest
import torch

from benchmarks.ibq import measure_ibq, plain_loss
from benchmarks.machine import Machine
from openmagvit2.models.quantizers import IBQ


def test_both_forms_have_the_same_loss_and_gradients():
    torch.manual_seed(0)
    ibq = IBQ(codebook_size=20, code_dim=6).train()
    z = torch.randn(1, 6, 9, requires_grad=True)
    out = ibq(z)
    loss = sum(out.losses.values()) + out.codes.square().mean()
    own = torch.autograd.grad(loss, (z, ibq.table))
    plain = plain_loss(z[0].T, ibq.table, ibq.temperature)
    assert plain.item() == pytest.approx(loss.item(), rel=1e-4)
    for a, b in zip(own, torch.autograd.grad(plain, (z, ibq.table)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_memory_is_beyond_the_gradient(monkeypatch):
    monkeypatch.setattr(Machine, '_matrix_rate', lambda self, dtype=None: 1e9)
    (result,) = measure_ibq(2**12, 8, 4, Machine())
    assert result.passed and 0 < result.peak < result.plain_peak and result.floor > 0
