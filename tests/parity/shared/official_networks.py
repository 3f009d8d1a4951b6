"""Encoders and decoders of other systems on their official weights."""

from typing import Any

import torch
import torch.nn.functional as F
from appendix import GOLDENS, golden
from official_names import Pairs, ours
from torch import Tensor, nn

from openmagvit2.checkpoint import to_official, to_ours
from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.generators.base import BaseGenerator


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


def small_cnns(channels: int, **common: Any) -> tuple[CnnEncoder, CnnDecoder]:
    """Encoder and decoder of the goldens after VQGAN, with ``channels`` between them."""
    common = dict(channels=32, bias=True) | common
    encoder = CnnEncoder(
        out_channels=channels,
        channel_multipliers=(2, 1),
        num_res_blocks=1,
        downsample='padded_conv',
        out_kernel=3,
        **common,
    )
    decoder = CnnDecoder(
        in_channels=channels,
        channel_multipliers=(1, 1),
        num_res_blocks=2,
        upsample='nearest_conv',
        adaptive_norm=False,
        **common,
    )
    return encoder, decoder


def load_generator(model: BaseGenerator, state: dict[str, Tensor]) -> BaseGenerator:
    """Load an official file without a tokenizer, in eval mode; the file back is the same."""
    converted, _ = to_ours(state, model)
    missing, unexpected = model.load_state_dict(converted['state_dict'], strict=False)
    assert not unexpected and all(name.startswith('tokenizer.') for name in missing)
    same(to_official(converted, model)[0]['state_dict'], state)
    return model.eval()


def project(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """An official projection around a quantizer: a 1x1 or 3x3 convolution."""
    weight = state[f'{name}.weight']
    return F.conv2d(x, weight, state[f'{name}.bias'], padding=weight.shape[-1] // 2)


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal names, types and values, bit for bit."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].equal(tensor) and found[name].dtype == tensor.dtype, name


class MeanSquares(nn.Module):
    """The goldens' stand-in for LPIPS."""

    def forward(self, image: Tensor, fake: Tensor) -> Tensor:
        return 0.7 * (image - fake).square().mean()


def near(found: Tensor, expected: Tensor) -> None:
    """Equal within 1e-4 of the largest value."""
    scale = expected.abs().max().clamp_min(1).item()
    torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=0)
