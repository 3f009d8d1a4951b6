"""Deterministic weights for the parity tests, from a formula instead of files, so that they run
anywhere.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDENS = Path(__file__).resolve().parents[3] / 'shared' / 'goldens'


def golden(name: str) -> dict[str, Tensor]:
    """Arrays of a golden file as tensors (for tests in ``shared/``)."""
    with np.load(GOLDENS / f'{name}.npz') as data:
        return {key: torch.from_numpy(data[key]) for key in data.files}


def golden_weights(name: str) -> dict[str, Tensor]:
    """State dict of a golden checkpoint (for tests in ``shared/``)."""
    return torch.load(GOLDENS / f'{name}.ckpt', weights_only=True)['state_dict']


def sine(*shape: int, step: float, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """``scale * sin(step * j + shift)`` over the flat index j."""
    return (
        (scale * torch.sin(step * torch.arange(math.prod(shape), dtype=torch.float64) + shift))
        .float()
        .reshape(shape)
    )


@torch.no_grad()
def fill(module: nn.Module) -> nn.Module:
    """Fill the parameters by the rule: sorted names k, flat index j, ``s = sin(0.7 j + 1.3 k)``."""
    for k, (name, parameter) in enumerate(sorted(module.named_parameters())):
        s = torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + 1.3 * k).reshape(
            parameter.shape
        )
        if parameter.dim() >= 2:
            s = s * math.sqrt(3 / (parameter.numel() // parameter.shape[0]))
        elif name.endswith('weight'):
            s = 1 + 0.1 * s
        else:
            s = 0.1 * s
        parameter.copy_(s)
    return module


def check(
    tensor: Tensor, mean: float, std: float, first: list[float], last: list[float] | None = None
) -> None:
    """Compare mean, population standard deviation and the outer flat elements at 1e-4."""
    flat = tensor.detach().double().flatten()
    expected = torch.tensor([mean, std, *first, *(last or [])], dtype=torch.float64)
    ends = [flat[: len(first)]] + ([flat[-len(last) :]] if last else [])
    torch.testing.assert_close(
        torch.cat([flat.mean()[None], flat.std(correction=0)[None], *ends]),
        expected,
        atol=1e-4,
        rtol=0,
    )
