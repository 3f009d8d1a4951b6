"""3x3 convolutions by minimal filtering, compared with torch's in float64."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.models.layers import winograd
from openmagvit2.models.layers.residual import ResidualBlock
from openmagvit2.models.layers.winograd import Conv3x3

needs_mkl = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason='torch is built without MKL, which it needs'
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _error(result: Tensor, expected: Tensor) -> float:
    return ((result.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ('batch', 'channels', 'out_channels', 'height', 'width', 'bias'),
    [(1, 3, 5, 2, 4, True), (2, 8, 6, 34, 36, False), (1, 4, 4, 6, 300, True)],
)
def test_output_and_gradients(
    layout: torch.memory_format,
    batch: int,
    channels: int,
    out_channels: int,
    height: int,
    width: int,
    bias: bool,
) -> None:
    """They equal those of torch in float64, also where the last strip is shorter."""
    torch.manual_seed(0)
    x = torch.randn(batch, channels, height, width).to(memory_format=layout).requires_grad_()
    inputs = [x, torch.randn(out_channels, channels, 3, 3, requires_grad=True)]
    inputs += [torch.randn(out_channels, requires_grad=True)] if bias else []
    doubles = [t.detach().double().requires_grad_() for t in inputs]
    expected = F.conv2d(*doubles, padding=1)
    above = torch.randn(expected.shape).to(memory_format=layout)
    out = winograd._Convolution.apply(*inputs, *([] if bias else [None]))

    assert out.is_contiguous(memory_format=torch.channels_last)
    assert _error(out, expected) < 1e-6
    gradients = torch.autograd.grad(out, inputs, above)
    for mine, right in zip(
        gradients, torch.autograd.grad(expected, doubles, above.double()), strict=True
    ):
        assert mine.shape == right.shape
        assert _error(mine, right) < 1e-6


def test_only_what_is_needed() -> None:
    """A frozen kernel or input has no gradient."""
    x, weight = torch.randn(1, 4, 4, 4), torch.randn(4, 4, 3, 3)
    grad = torch.randn(1, 4, 4, 4)
    assert winograd.convolve_backward(grad, x, weight, (False, False, False)) == (None, None, None)
    first, second, third = winograd.convolve_backward(grad, x, weight, (False, True, False))
    assert first is None and second is not None and third is None


@needs_mkl
def test_where_it_is_used() -> None:
    """Wide maps of even size in float32 on one thread; everything else is torch's."""
    weight = torch.empty(128, 128, 3, 3)

    def faster(*shape: int, weight: Tensor = weight, **kind: torch.dtype) -> bool:
        return winograd.faster(torch.empty(shape, **kind), weight)

    assert faster(1, 128, 32, 32)
    assert not faster(1, 128, 33, 32)
    assert not faster(1, 128, 16, 16)
    assert not faster(4, 128, 16, 16)  # an image has the same bits alone and in a batch
    assert not faster(1, 64, 32, 32, weight=torch.empty(128, 64, 3, 3))
    assert not faster(1, 128, 32, 32, dtype=torch.bfloat16)
    assert not winograd.faster(torch.empty(1, 128, 32, 32, device='meta'), weight)
    with torch.autocast('cpu', torch.bfloat16):
        assert not faster(1, 128, 32, 32)
    torch.set_num_threads(2)
    assert not faster(1, 128, 32, 32)


@needs_mkl
def test_residual_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block and its gradients are those of torch's convolutions, at rounding errors."""
    torch.manual_seed(0)
    block = ResidualBlock(128, 128)
    x = torch.randn(1, 128, 32, 32, requires_grad=True)

    def run() -> list[Tensor]:
        out = block(x)
        return [out, *torch.autograd.grad(out.square().sum(), [x, *block.parameters()])]

    mine = run()
    assert mine[0].is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(block(x), mine[0])
    monkeypatch.setattr(winograd, 'faster', lambda x, weight: False)
    for a, b in zip(mine, run(), strict=True):
        assert _error(a, b.double()) < 1e-5


@needs_mkl
def test_images_of_a_batch_do_not_mix() -> None:
    """An image has the same bits alone and in a batch."""
    torch.manual_seed(0)
    conv, x = Conv3x3(128, 128), torch.randn(3, 128, 32, 32)
    with torch.no_grad():
        assert torch.equal(conv(x)[1:2], conv(x[1:2]))
