"""3x3 convolutions on a CPU by Winograd's minimal filtering, F(2x2, 3x3).

A tile of 2x2 outputs takes 16 products of each pair of channels instead of 36: ``Y = A' [(G w G') *
(B' d B)] A`` for a tile of 4x4 inputs ``d`` (Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", 2016, section 4.1). The sum over input channels is one matrix product for each of
the 16 positions. Strips of a few rows stay in the cache between the transforms and the products.
Measured in docs/reference/performance.md.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# G, so that G w G' is the transform of a 3x3 kernel.
_KERNEL = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d`` with a 3x3 kernel, stride 1 and zero padding 1, in the faster of two ways."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        if not faster(x, self.weight):
            return super().forward(x)
        return _Convolution.apply(x, self.weight, self.bias)


def faster(x: Tensor, weight: Tensor) -> bool:
    """Return whether a 3x3 convolution of (B, C, H, W) is faster here than as torch has it.

    It is in float32, at 128 channels and more, with MKL's matrix products, on one thread: with
    more, starting the threads for each of the small operations takes as long as is saved.
    """
    if (
        x.device.type != 'cpu'
        or torch.get_num_threads() > 1
        or not torch.backends.mkl.is_available()
    ):
        return False
    if x.dtype != torch.float32 or weight.dtype != torch.float32:
        return False
    if torch.compiler.is_compiling() or torch.is_autocast_enabled('cpu'):
        return False
    # Not by the number of images, on which no bit of an image may depend.
    height, width = x.shape[2:]
    large = min(weight.shape[:2]) >= 128 and height * width >= 1024
    return large and height % 2 == 0 and width % 2 == 0


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (B, C, H, W) of even height and width with (O, C, 3, 3), with zero padding 1.

    Returns:
        (B, O, H, W), channels last in memory.
    """
    batch, _, height, width = x.shape
    kernel = _transform_kernel(weight)
    out = x.new_empty(batch, height, width, len(weight))
    for image, result in zip(x, out, strict=True):
        padded = _pad(image)
        for rows in _strips(image, weight):
            strip = padded[rows.start : rows.stop + 2]
            products = torch.bmm(_transform_input(strip), kernel)
            _transform_output(products, bias, result[rows])
    return out.permute(0, 3, 1, 2)


def convolve_backward(
    grad: Tensor, x: Tensor, weight: Tensor, needed: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of ``convolve`` by input, weight and bias, as far as ``needed``."""
    need_input, need_weight, need_bias = needed
    grad_input = None
    if need_input:
        grad_input = convolve(grad, weight.flip(2, 3).transpose(0, 1), None)
    grad_weight = _weight_gradient(grad, x, weight) if need_weight else None
    return grad_input, grad_weight, grad.sum((0, 2, 3)) if need_bias else None


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient (O, C, 3, 3) of the kernel: of its transform, and back."""
    total = x.new_zeros(16, grad.shape[1], x.shape[1])
    for image, above in zip(x, grad.permute(0, 2, 3, 1), strict=True):
        padded = _pad(image)
        for rows in _strips(image, weight):
            tiles = _transform_input(padded[rows.start : rows.stop + 2])
            total.baddbmm_(_transform_gradient(above[rows]).transpose(1, 2), tiles)
    return (total.view(16, -1).t() @ _kernel_matrix()).view(weight.shape)


class _Convolution(torch.autograd.Function):
    """``convolve`` with its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return convolve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return convolve_backward(grad, x, weight, ctx.needs_input_grad)


def _strips(image: Tensor, weight: Tensor) -> list[slice]:
    """Split the rows of (C, H, W), in pairs, into strips that fit in the cache.

    A strip has 128 tiles, and more where the kernels are large, so that reading them again for
    each strip takes little time.
    """
    height, width = image.shape[1:]
    tiles = max(128, weight.shape[0] * weight.shape[1] // 1024)
    rows = 2 * max(1, tiles // (width // 2))
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def _pad(image: Tensor) -> Tensor:
    """Map (C, H, W) to (H + 2, W + 2, C) with zeros around it."""
    channels, height, width = image.shape
    padded = image.new_zeros(height + 2, width + 2, channels)
    padded[1:-1, 1:-1] = image.permute(1, 2, 0)
    return padded


def _transform_kernel(weight: Tensor) -> Tensor:
    """Map (O, C, 3, 3) to (16, C, O): ``G w G'`` in float32, without a copy of the kernel."""
    transformed = _kernel_matrix() @ weight.reshape(-1, 9).t()
    return transformed.view(16, *weight.shape[:2]).transpose(1, 2)


def _kernel_matrix() -> Tensor:
    """Return the matrix (16, 9) of the map from ``w`` to ``G w G'``."""
    g = torch.tensor(_KERNEL)
    return torch.kron(g, g)


def _transform_input(strip: Tensor) -> Tensor:
    """Map (2 R + 2, W + 2, C) to (16, R * W / 2, C): ``B' d B`` of all tiles of 4x4, 2 apart."""
    rows, width, channels = len(strip) // 2 - 1, strip.shape[1] - 2, strip.shape[2]
    vertical = strip.new_empty(4, rows, width + 2, channels)
    _difference(strip.unfold(0, 4, 2).movedim(-1, 0), vertical)
    tiles = strip.new_empty(4, 4, rows, width // 2, channels)
    _difference(vertical.unfold(2, 4, 2).movedim(-1, 0), tiles.transpose(0, 1))
    return tiles.view(16, -1, channels)


def _difference(d: Tensor, out: Tensor) -> None:
    """Write ``B' d`` along the first dimension: d0 - d2, d1 + d2, d2 - d1, d1 - d3."""
    torch.sub(d[:2], d[2:], out=out[::3])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])


def _transform_output(products: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Write ``A' m A`` of (16, R * W / 2, O), plus the bias, to (2 R, W, O)."""
    height, width, channels = out.shape
    m = products.view(4, 4, height // 2, width // 2, channels)
    if bias is not None:
        m[1, 1] += bias  # its coefficient is 1 in all four outputs
    vertical = m.new_empty(2, *m.shape[1:])
    _sum(m, vertical)
    pixels = out.view(height // 2, 2, width // 2, 2, channels).permute(3, 1, 0, 2, 4)
    _sum(vertical.transpose(0, 1), pixels)


def _sum(m: Tensor, out: Tensor) -> None:
    """Write ``A' m`` along the first dimension: m0 + m1 + m2, m1 - m2 - m3."""
    torch.add(m[1], m[2], out=out[0]).add_(m[0])
    torch.sub(m[1], m[2], out=out[1]).sub_(m[3])


def _transform_gradient(grad: Tensor) -> Tensor:
    """Map (2 R, W, O) to (16, R * W / 2, O): ``A y A'``, the gradient of ``_transform_output``."""
    height, width, channels = grad.shape
    y = grad.reshape(height // 2, 2, width // 2, 2, channels).permute(1, 3, 0, 2, 4)
    vertical = grad.new_empty(4, *y.shape[1:])
    _spread(y, vertical)
    both = grad.new_empty(4, *vertical.shape[:1], *vertical.shape[2:])
    _spread(vertical.transpose(0, 1), both)
    return both.transpose(0, 1).reshape(16, -1, channels)


def _spread(y: Tensor, out: Tensor) -> None:
    """Write ``A y`` along the first dimension: y0, y0 + y1, y0 - y1, -y1."""
    out[0] = y[0]
    torch.add(y[0], y[1], out=out[1])
    torch.sub(y[0], y[1], out=out[2])
    torch.neg(y[1], out=out[3])
