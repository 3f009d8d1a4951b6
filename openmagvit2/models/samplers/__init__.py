"""The sampler slot: logits to sub-tokens."""

from openmagvit2.models.samplers.decode import decode_tokens, uniforms
from openmagvit2.models.samplers.sub_token import SubTokenSampler

__all__ = ['SubTokenSampler', 'decode_tokens', 'uniforms']
