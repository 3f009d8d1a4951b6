"""Encoders and decoders of other systems on their official weights."""

import torch
import torch.nn.functional as F
from appendix import GOLDENS, golden
from official_names import Pairs, ours
from torch import Tensor, nn


def weights(name: str, key: str | None = 'state_dict') -> dict[str, Tensor]:
    """State dict of a golden checkpoint in float32; ``key`` None for a bare one."""
    state = torch.load(GOLDENS / 'systems' / f'{name}.ckpt', weights_only=True)
    state = state if key is None else state[key]
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def arrays(name: str) -> dict[str, Tensor]:
    """Arrays of a golden."""
    return golden(f'systems/{name}')


def load(module: nn.Module, state: dict[str, Tensor], prefix: str, pairs: Pairs) -> nn.Module:
    """Load the official tensors below ``prefix``, all of them, in eval mode."""
    own = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    module.load_state_dict({ours(k, pairs): v for k, v in own.items()})
    return module.eval()


def project(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """An official projection around a quantizer: a 1x1 or 3x3 convolution."""
    weight = state[f'{name}.weight']
    return F.conv2d(x, weight, state[f'{name}.bias'], padding=weight.shape[-1] // 2)


def near(found: Tensor, expected: Tensor) -> None:
    """Equal within 1e-4 of the largest value."""
    scale = expected.abs().max().clamp_min(1).item()
    torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=0)
