"""The default device."""

import os

import torch
from mmengine.device import get_device


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
