"""The default device of a model, and a check that a device can be used."""

import os

import torch
from mmengine.device import get_device

from openmagvit2.errors import UserError, first_line


def default_device() -> str:
    """Return mmengine's default device, such as 'cuda', 'mps' or 'cpu'.

    Under a launcher it is the GPU of the local rank, such as 'cuda:3'.
    """
    name = get_device()
    if name == 'cuda' and 'LOCAL_RANK' in os.environ:
        # Some launchers let each process see only its own GPU.
        return f'cuda:{int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()}'
    return name


def usable_device(name: str | torch.device, said: str | None = None) -> torch.device:
    """Return a device after allocating on it, so that an error precedes reading a checkpoint.

    Args:
        name: The device.
        said: Name of the device in the error; default: ``device '<name>'``.

    Raises:
        UserError: The device cannot be used.
    """
    try:
        return torch.empty(0, device=name).device
    # torch without CUDA raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f'{said or f"device {str(name)!r}"} cannot be used here ({first_line(error)}); leave '
            f'it out for the default.'
        ) from error
