"""Initial weights of networks; functions for ``Module.apply``."""

import math

import torch
from torch import nn


def init_normal(module: nn.Module, deviation: float = 0.02) -> None:
    """Draw normal weights of linear layers, convolutions and embeddings, set biases to zero."""
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)):
        nn.init.normal_(module.weight, 0.0, deviation)
    _zero_bias(module)


def init_linear(module: nn.Module) -> None:
    """Do what :func:`init_normal` does, for linear layers alone."""
    if isinstance(module, nn.Linear):
        init_normal(module)


def init_truncated(module: nn.Module) -> None:
    """Draw normal weights of deviation 0.02, cut at two deviations; set biases to zero."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        # The inverse of the distribution at uniform numbers; torch's own waits for the device.
        bound = math.erf(2**0.5)
        with torch.no_grad():
            module.weight.uniform_(-bound, bound).erfinv_().mul_(0.02 * 2**0.5)
    _zero_bias(module)


def init_xavier(module: nn.Module) -> None:
    """Draw Xavier's uniform weights, in convolutions over patches as over one vector; set biases of
    linear layers to zero.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _zero_bias(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
        nn.init.zeros_(module.bias)
