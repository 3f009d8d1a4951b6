"""Build models without drawing their initial weights."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Functions that fill their first argument in place and return it.
FILLING = {f for name, f in vars(nn.init).items() if name.endswith('_') and name[0] != '_'}
FILLING |= {Tensor.normal_, Tensor.uniform_}


class Unfilled(TorchFunctionMode):
    """Skip the drawing of initial weights: parameters keep whatever was in their memory.

    On the device 'meta', drawing takes more than half of the time of a build, and for the
    classifiers in LPIPS nearly all of it.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Call a function, or return the tensor that it would fill unchanged."""
        kwargs = kwargs or {}
        if function in FILLING:
            return args[0] if args else kwargs['tensor']
        return function(*args, **kwargs)


@contextlib.contextmanager
def on_meta() -> Iterator[None]:
    """Build models of any size on the device 'meta', without memory."""
    with torch.device('meta'), Unfilled():
        yield
