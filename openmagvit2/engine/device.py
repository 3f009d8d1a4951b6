"""The device of a model: the default, and whether one can be used."""

import os

import torch
from mmengine.device import get_device

from openmagvit2.errors import UserError


def default_device() -> str:
    """Return the accelerator that mmengine trains on, or 'cpu'; under a launcher, the local rank's.

    Returns:
        As 'cuda', 'cuda:3', 'mps' or 'cpu'.
    """
    name = get_device()
    if name == 'cuda' and 'LOCAL_RANK' in os.environ:
        # A launcher may also show each process its own card alone.
        return f'cuda:{int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()}'
    return name


def usable_device(name: str | torch.device, said: str | None = None) -> torch.device:
    """Return a device once something has been put on it: before a checkpoint is read.

    Args:
        name: The device.
        said: What the error calls it, where that is not ``device`` and the name.

    Raises:
        UserError: It is not there.
    """
    try:
        return torch.empty(0, device=name).device
    # AssertionError: a torch that was built without CUDA.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0].rstrip('.')
        raise UserError(
            f'{said or f"device {str(name)!r}"} cannot be used here ({reason}); leave it out for '
            f'the default.'
        ) from error
