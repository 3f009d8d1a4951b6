"""The replacements of non-deterministic kernels give torch's numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from openmagvit2.models.layers import deterministic
from openmagvit2.models.layers.deterministic import resized, running_sum


@pytest.fixture
def elsewhere(monkeypatch):
    """As on an accelerator with ``randomness.deterministic``."""
    monkeypatch.setattr(deterministic, '_wanted', lambda x: True)

    def refuse(*args, **kwargs):
        raise RuntimeError('cumsum_cuda_kernel does not have a deterministic implementation')

    monkeypatch.setattr(torch.Tensor, 'cumsum', refuse)


@pytest.mark.parametrize('length', [1, 2, 3, 1000, 1 << 16])
def test_running_sums(elsewhere, length):
    torch.manual_seed(length)
    x = torch.rand(2, length, dtype=torch.float64)
    assert_close(running_sum(x), torch.cumsum(x, -1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ('mode', 'size'),
    [
        ('bicubic', (16, 16)),
        ('bicubic', (5, 7)),
        ('bicubic', (1, 3)),
        ('bilinear', (9, 4)),
        ('area', (2, 3)),
        ('area', (4, 5)),
    ],
)
def test_resizing_and_its_gradient(elsewhere, mode, size):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, *size, dtype=torch.float64)
    found, expected = resized(x, size, mode), F.interpolate(x, size=size, mode=mode)
    assert_close(found, expected)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (found, expected)]
    assert_close(*gradients)


def test_only_where_it_is_wanted():
    x = torch.zeros(1, 4)
    torch.use_deterministic_algorithms(True)
    try:
        wanted = [deterministic._wanted(x), deterministic._wanted(x.to('meta'))]
    finally:
        torch.use_deterministic_algorithms(False)
    assert wanted == [False, True] and not deterministic._wanted(x.to('meta'))
