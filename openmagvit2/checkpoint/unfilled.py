"""Models without initial weights: those on the device 'meta', and those whose weights are read."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Each fills its first argument in place and returns it.
FILLING = {f for name, f in vars(nn.init).items() if name.endswith('_') and name[0] != '_'}
FILLING |= {Tensor.normal_, Tensor.uniform_}


class Unfilled(TorchFunctionMode):
    """Within it no initial weights are drawn: parameters hold whatever was in their memory.

    On 'meta' the drawing is more than half of a build, for the classifiers within LPIPS nearly all.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Call the function, or return the tensor that it would fill as it is."""
        kwargs = kwargs or {}
        if function in FILLING:
            return args[0] if args else kwargs['tensor']
        return function(*args, **kwargs)


@contextlib.contextmanager
def on_meta() -> Iterator[None]:
    """Let a model of any size be built in no memory, within it."""
    with torch.device('meta'), Unfilled():
        yield
