"""No float64 on devices without it, and exact float32 where it is needed."""

import pytest
import torch
from fake_card import fake_card
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from openmagvit2 import dtypes
from openmagvit2.datasets.base import uniform
from openmagvit2.evaluation.frechet import sums
from openmagvit2.evaluation.pixel_errors import to_unit
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.quantizers.lfq import LFQ
from openmagvit2.models.quantizers.vq import nearest
from openmagvit2.models.samplers.filters import draw
from openmagvit2.models.tokenizers import ImagePreprocessor


class NoFloat64(TorchDispatchMode):
    """Refuses float64 on every device but the CPU, as Apple's does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, torch.Tensor) and x.dtype == torch.float64 and x.device.type != 'cpu':
                raise TypeError(f'{func} gives float64 on {x.device}')
        return out


@pytest.fixture
def without_float64(monkeypatch):
    # On the fake device of a card, since torch can imitate no 'mps' without one.
    monkeypatch.setattr(dtypes, 'has_float64', lambda device: torch.device(device).type == 'cpu')
    monkeypatch.setattr(
        'openmagvit2.models.samplers.filters.has_float64',
        lambda device: torch.device(device).type == 'cpu',
    )
    with FakeTensorMode(allow_non_fake_inputs=True), NoFloat64():
        yield


@fake_card
def test_batches_draws_and_metrics_have_no_float64(without_float64):
    preprocessor = ImagePreprocessor()
    preprocessor.to('cuda')
    collated = torch.utils.data.default_collate(
        [dict(label=1, uniform=uniform(0, 0, i)) for i in range(2)]
    )
    assert collated['uniform'].dtype == torch.float64
    assert preprocessor(collated)['uniform'].dtype == torch.float32
    images = torch.rand(2, 3, 8, 8, device='cuda')
    for x in (to_unit(images), to_unit(images, 'official'), sums(images.flatten(1))):
        assert x.dtype == torch.float64 and x.device.type == 'cpu'
    drawn = draw(torch.randn(2, 5, device='cuda'), torch.rand(2, device='cuda'))
    assert drawn.dtype == torch.int64 and drawn.device.type == 'cuda'


def test_draws_in_float32_never_leave_the_distribution(monkeypatch):
    monkeypatch.setattr(dtypes, 'has_float64', lambda device: False)
    below = dtypes.uniform_to(torch.tensor([1 - 2.0**-53, 0.25]), torch.device('cpu'))
    below = dtypes.uniform_to(below.double(), torch.device('cpu'))
    assert below.tolist() == [1 - 2.0**-24, 0.25]
    monkeypatch.setattr('openmagvit2.models.samplers.filters.has_float64', lambda device: False)
    # The last tokens have no probability: a uniform number of 1 would give one of them.
    logits = torch.tensor([[0.0, 1.0, float('-inf'), float('-inf')]]).expand(2, -1)
    assert draw(logits, below).tolist() == [1, 0]


class Products(TorchFunctionMode):
    """Notes the precision that each matrix product is computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, '__name__', '') in ('matmul', '__matmul__', '__rmatmul__'):
            self.seen.append(torch.get_float32_matmul_precision())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    'compute',
    [
        lambda: LFQ(num_bits=4).entropies(torch.randn(5, 4)),
        lambda: nearest(torch.randn(5, 4), torch.randn(3, 4)),
    ],
    ids=['lfq', 'vq'],
)
def test_codes_are_compared_in_full_float32(compute):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        with Products() as products:
            compute()
        assert products.seen == ['highest']
        assert torch.get_float32_matmul_precision() == 'high'
    finally:
        torch.set_float32_matmul_precision(before)


def test_adaptive_norm_of_small_codes_in_half_precision():
    torch.manual_seed(0)
    layer, x = AdaptiveGroupNorm(32, 4), torch.randn(1, 32, 4, 4)
    # A spread of 1e-4: its square is below what float16 has.
    codes = (1e-4 * torch.randn(1, 4, 4, 4)).half()
    with torch.no_grad():
        layer.gamma.weight.mul_(1000)
        exact = layer(x, codes.float())
        half = layer.half()(x.half(), codes).float()
    assert (half - exact).abs().max() < 5e-3 * exact.abs().max()
