"""Weight initialization; functions for ``Module.apply``."""

import math

import torch
from torch import nn


def init_normal(module: nn.Module, deviation: float = 0.02) -> None:
    """Initialize linear layers, convolutions and embeddings with normal weights and zero biases."""
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)):
        nn.init.normal_(module.weight, 0.0, deviation)
    _zero_bias(module)


def init_linear(module: nn.Module) -> None:
    """Apply :func:`init_normal` to linear layers only."""
    if isinstance(module, nn.Linear):
        init_normal(module)


def init_truncated(module: nn.Module) -> None:
    """Initialize with normal weights of deviation 0.02, truncated at two deviations, and zero
    biases.
    """
    if isinstance(module, (nn.Linear, nn.Embedding)):
        # Invert the distribution at uniform numbers; torch's function synchronizes with the device.
        bound = math.erf(2**0.5)
        with torch.no_grad():
            module.weight.uniform_(-bound, bound).erfinv_().mul_(0.02 * 2**0.5)
    _zero_bias(module)


def init_xavier(module: nn.Module) -> None:
    """Initialize with Xavier uniform weights, treating patch convolutions as linear layers, and
    with zero biases in linear layers.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _zero_bias(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
        nn.init.zeros_(module.bias)
