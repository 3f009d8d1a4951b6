"""Formats of linear layers' weights that are fast in decoding: packed, or in 8 bits."""

import copy
import warnings
from itertools import chain
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice

Part = TypeVar('Part', bound=nn.Module)
WEIGHTS = ('auto', 'plain', 'packed', 'int8')
# Smaller networks fit in a processor's cache, so there is nothing to gain.
LEAST_BYTES = 2**26
# Where oneDNN's results were found not to depend on the number of rows.
PROCESSORS = ('AVX2', 'AVX512')
# Padding, stride, dilation and groups of a 1x1 convolution.
GEOMETRY = ([0, 0], [1, 1], [1, 1], 1)


class PackedLinear(nn.Module):
    """Linear layer in oneDNN's packed layout, on a CPU.

    It computes a 1x1 convolution over an image of one row of pixels: for few rows, oneDNN's
    convolutions read their weights up to twice as fast as its matrix products. The result of a row
    is the same, bit for bit, for any number of rows.

    Args:
        layer: The layer to convert, whose parameters are shared.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        # oneDNN chooses the layout for this number of rows.
        self.rows, self.packed = 0, layer.weight.detach()
        self.convolution = torch.ops.mkldnn._convolution_pointwise.default

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        # Decoding calls this thousands of times a second, so operations on shapes are kept few.
        count = x.numel() // x.shape[-1]
        # Packing takes as long as several steps, so a few missing rows are padded instead.
        if not count <= self.rows < 2 * count:
            self.rows, self.packed = count, self._pack(count)
        image = x.reshape(1, 1, count, -1)
        if count < self.rows:
            image = F.pad(image, (0, 0, 0, self.rows - count))
        image = image.permute(0, 3, 1, 2)
        out = self.convolution(image, self.packed, self.bias, *GEOMETRY, 'none', [], '')
        out = out.permute(0, 2, 3, 1)
        return out[:, :, :count].reshape(*x.shape[:-1], -1)

    def _pack(self, rows: int) -> Tensor:
        weight = self.weight.detach()[:, :, None, None]
        size = [1, weight.shape[1], 1, rows]
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *GEOMETRY, size)


class Int8Linear(nn.Module):
    """Linear layer with int8 weights from -127 to 127 and a scale per output.

    On a CPU with int8 products, inputs are also quantized, to 7 bits relative to the largest value
    of their row.

    Args:
        layer: The layer to convert.
    """

    scale: Tensor
    table: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(1).clamp_min(1e-12) / 127
        self.native = weight.device.type == 'cpu' and torch.backends.quantized.engine in (
            'fbgemm',
            'x86',
        )
        # torch has announced the removal of its quantized tensors.
        self.native &= hasattr(torch, 'quantize_per_channel')
        if self.native:
            zeros = torch.zeros(len(weight), dtype=torch.int64)
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                table = torch.quantize_per_channel(weight, scale, zeros, 0, torch.qint8)
            self.packed = torch.ops.quantized.linear_prepack(table, None)
        else:
            self.register_buffer('scale', scale[:, None])
            self.register_buffer('table', (weight / scale[:, None]).round().to(torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        if not self.native:
            return F.linear(x, self.table.to(x.dtype) * self.scale.to(x.dtype), self.bias)
        rows = x.float().flatten(0, -2)
        largest = rows.abs().amax(-1, keepdim=True).clamp_min(1e-12)
        # The kernel quantizes with the range of the whole batch. An extra row with both ends fixes
        # this range, so that the result of a row does not depend on the others.
        ends = rows.new_zeros(1, rows.shape[1])
        ends[0, 0], ends[0, -1] = -1, 1
        scaled = torch.cat([rows / largest, ends])
        out = torch.ops.quantized.linear_dynamic(scaled, self.packed, True)[:-1] * largest
        if self.bias is not None:
            out = out + self.bias
        return out.unflatten(0, x.shape[:-1]).type_as(x)


def can_pack(module: nn.Module) -> bool:
    """Return whether all linear layers can be packed: their weights are plain tensors on a CPU, of
    a dtype that oneDNN supports there.
    """
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    types = {torch.float32}
    if getattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', bool)():
        types.add(torch.bfloat16)
    plain = all(
        type(w) in (Tensor, nn.Parameter) and w.device.type == 'cpu' and w.dtype in types
        for w in weights
    )
    return (
        plain
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() in PROCESSORS
        and not torch.is_autocast_enabled('cpu')
        and hasattr(torch.ops.mkldnn, '_reorder_convolution_weight')
    )


def chosen(weights: str, *modules: nn.Module) -> str:
    """Return the weight format that a setting selects for modules: 'plain', 'packed' or 'int8'.

    Args:
        weights: The format itself, or 'auto' to pack networks of at least 64 MB if possible.
        modules: The modules that decode.

    Raises:
        UserError: ``weights`` is 'packed', and these weights cannot be packed.
    """
    check_choice('sampling.weights', weights, WEIGHTS)
    packable = weights in ('auto', 'packed') and all(can_pack(module) for module in modules)
    if weights == 'packed' and not packable:
        raise UserError(
            "sampling.weights='packed' needs a CPU with AVX2, torch with oneDNN, and float32 "
            'weights (or bfloat16, if the CPU supports it natively); use the default, '
            "'auto'."
        )
    if weights != 'auto':
        return weights
    size = sum(p.numel() * p.element_size() for m in modules for p in m.parameters())
    return 'packed' if packable and size >= LEAST_BYTES else 'plain'


def for_decoding(module: Part, weights: str) -> Part:
    """Return a copy of a module with linear layers in another format; other tensors are shared.

    Args:
        module: A backbone or head. With 'int8', its classifiers are not converted.
        weights: 'packed' or 'int8'; 'plain' returns the module itself.
    """
    if weights == 'plain':
        return module
    shared = {id(t): t for t in chain(module.parameters(), module.buffers())}
    out = copy.deepcopy(module, shared)
    form: type[nn.Module] = PackedLinear if weights == 'packed' else Int8Linear
    for name, part in list(out.named_modules()):
        parent, _, own = name.rpartition('.')
        # Subclasses compute something else.
        if type(part) is nn.Linear and (weights == 'packed' or parent != 'classifiers'):
            out.get_submodule(parent).register_module(own, form(part))
    return out
