"""Time of the convolutions of a network alone, to measure what the rest of it costs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.machine import seconds_of

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@torch.no_grad()
def seconds_alone(model: nn.Module, run: Callable[[], object], repeats: int = 3) -> float:
    """Return the summed seconds of all convolutions of a run, each timed alone in the faster of two
    memory layouts.

    Args:
        model: Network with 2-d convolutions.
        run: Calls the network, without gradients.
        repeats: Calls of each convolution, of which the median is used.
    """
    calls: dict[tuple, list[nn.Conv2d]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        settings = (module.weight.shape, module.stride, module.padding, module.bias is not None)
        calls.setdefault((inputs[0].shape, inputs[0].dtype, *settings), []).append(module)

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Conv2d)]
    run()
    for hook in hooks:
        hook.remove()
    return sum(len(c) * _seconds(c[0], key[0], key[1], repeats) for key, c in calls.items())


def _seconds(conv: nn.Conv2d, shape: torch.Size, dtype: torch.dtype, repeats: int) -> float:
    x = torch.randn(shape, device=conv.weight.device).to(dtype)
    bias = None if conv.bias is None else conv.bias.to(dtype)
    times = []
    for layout in LAYOUTS:
        a, w = x.to(memory_format=layout), conv.weight.to(dtype).to(memory_format=layout)
        times.append(
            seconds_of(
                lambda a=a, w=w: F.conv2d(a, w, bias, conv.stride, conv.padding), x.device, repeats
            )
        )
    return min(times)
