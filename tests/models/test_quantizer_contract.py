"""Every registered quantizer keeps the contract of the slot; wrong ones are caught."""

import pytest
import torch

from openmagvit2.models.quantizers import FSQ
from openmagvit2.registry import QUANTIZERS

NAMES = QUANTIZERS.names()
GRIDS = [(4, 6), (1, 5), (2, 3, 4)]


def check_contract(quantizer, grid: tuple[int, ...]) -> None:
    """Shapes, types, round trip, gradients, and float32 inside autocast."""
    torch.manual_seed(0)
    z = torch.randn(2, quantizer.in_channels, *grid, requires_grad=True)
    out = quantizer.train()(z)
    assert out.codes.shape == (2, quantizer.code_dim, *grid) and out.codes.dtype == z.dtype
    axes = grid if quantizer.num_codebooks == 1 else (*grid, quantizer.num_codebooks)
    assert out.indices.dtype == torch.int64, 'indices must be int64'
    assert out.indices.shape == (2, *axes)
    assert 0 <= out.indices.min() and out.indices.max() < quantizer.codebook_size
    codes = quantizer.indices_to_codes(out.indices)
    assert torch.allclose(codes, out.codes, atol=1e-5), 'indices_to_codes must give the codes'
    assert quantizer.codes_to_indices(codes).equal(out.indices), 'codes_to_indices must invert'
    for name, loss in out.losses.items():
        assert loss.dim() == 0 and loss.requires_grad, (
            f'loss {name} must be a differentiable scalar'
        )
    for name, stat in out.stats.items():
        assert not stat.requires_grad, f'stat {name} must be detached'
    assert torch.autograd.grad(out.codes.sum(), z, retain_graph=True)[0].abs().sum() > 0, (
        'codes must pass gradients'
    )
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert quantizer(z).indices.equal(out.indices), 'indices must not depend on autocast'


@pytest.mark.parametrize('grid', GRIDS)
@pytest.mark.parametrize('name', NAMES)
def test_contract(name, grid):
    check_contract(QUANTIZERS.build(dict(type=name)), grid)


class FloatIndices(FSQ):
    def quantize(self, z):
        out = super().quantize(z)
        out.indices = out.indices.float()
        return out


class DetachedLoss(FSQ):
    def quantize(self, z):
        out = super().quantize(z)
        out.losses = dict(wrong=z.detach().mean())
        return out


class WrongRoundTrip(FSQ):
    def indices_to_codes(self, indices):
        return -super().indices_to_codes(indices)


@pytest.mark.parametrize('wrong', [FloatIndices, DetachedLoss, WrongRoundTrip])
def test_wrong_classes_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_contract(wrong(), (3, 4))
