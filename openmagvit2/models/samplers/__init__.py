"""The sampler slot: logits to sub-tokens."""

from openmagvit2.models.samplers.decode import Finite, decode_tokens, uniforms
from openmagvit2.models.samplers.sub_token import SubTokenSampler

__all__ = ['Finite', 'SubTokenSampler', 'decode_tokens', 'uniforms']
