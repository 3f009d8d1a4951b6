"""The sampler slot: draw sub-tokens from logits."""

from openmagvit2.models.samplers.build import build_sampler
from openmagvit2.models.samplers.decode import Finite, decode_tokens, uniforms
from openmagvit2.models.samplers.jacobi import decode_jacobi
from openmagvit2.models.samplers.masked import MaskedSampler
from openmagvit2.models.samplers.scales import decode_levels, smooth_mixture
from openmagvit2.models.samplers.sub_token import SubTokenSampler

__all__ = [
    'Finite',
    'MaskedSampler',
    'SubTokenSampler',
    'build_sampler',
    'decode_jacobi',
    'decode_levels',
    'decode_tokens',
    'smooth_mixture',
    'uniforms',
]
