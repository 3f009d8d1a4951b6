"""TiTok's tokenizers.

See docs/reference/specification.md, TiTok.
"""

from typing import Any

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.maskgit_torch import MASKGIT
from openmagvit2.checkpoint.converters.rules import Lost, Rename, Rule, Under, squeeze
from openmagvit2.registry import CONVERTERS

BLOCK = (
    ('norm1.', 'ln_1.'),
    ('attn.qkv.weight', 'attn.in_proj_weight'),
    ('attn.qkv.bias', 'attn.in_proj_bias'),
    ('attn.proj.', 'attn.out_proj.'),
    ('norm2.', 'ln_2.'),
    ('mlp.fc1.', 'mlp.c_fc.'),
    ('mlp.fc2.', 'mlp.c_proj.'),
)


def _vit(part: str) -> list[Rule]:
    """Return the rules of the transformer of the encoder or the decoder."""
    ours, official = f'{part}.vit.blocks.{{i}}.', f'{part}.transformer.{{i}}.'
    return [*(Rename(ours + a, official + b) for a, b in BLOCK), Rename(f'{part}.vit.', f'{part}.')]


PAIR = (
    Rename('encoder.latent_tokens', 'latent_tokens'),
    Rename('encoder.patch_embed.'),
    squeeze('encoder.out.weight', 'encoder.conv_out.weight', (2, 3)),
    Rename('encoder.out.bias', 'encoder.conv_out.bias'),
    *_vit('encoder'),
    Rename('quantizer.embedding.weight', 'quantize.embedding.weight'),
    Rename('decoder.embed.', 'decoder.decoder_embed.'),
    Rename('decoder.mask_token'),
    *_vit('decoder'),
)
# The end of the decoder predicts proxy codes, possibly decoded by the proxy's decoder, or pixels.
CODES = (
    Rename('decoder.head.ffn.{i}.', 'decoder.ffn.{i}.'),
    Rename('decoder.head.table', 'pixel_quantize.embedding.weight'),
    Under('decoder.head.decoder.', 'pixel_decoder.', MASKGIT),
    Lost('pixels.tokenizer.', 'has a file of its own'),
)
PIXELS = (
    Rename('decoder.head.ffn.', 'decoder.ffn.0.'),
    Rename('decoder.head.conv_out.', 'decoder.conv_out.'),
)


@CONVERTERS.register_module()
class TiTok(Converter):
    """Tokenizers of latent tokens, trained in one or two stages; also those of the first stage."""

    stage = 'tokenizer'
    configs = ('tiny/titok_32', 'tiny/titok_stage1_32', 'tiny/titok_stage2_32')
    marks = ('latent_tokens', 'encoder.transformer.', 'decoder.decoder_embed.', 'pixel_')
    bare = True

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'latent_tokens' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        pixels = 'decoder.head.conv_out.weight' in model.state_dict()
        return [*PAIR, *(PIXELS if pixels else CODES)]

    def misfit(self, model: Any) -> str | None:
        """Return the wrong order of the encoder's output, which no tensor shows."""
        legacy = getattr(model.encoder, 'legacy_reshape', None)
        pixels = 'decoder.head.conv_out.weight' in model.state_dict()
        if legacy is None or legacy != pixels:
            return None
        return f'encoder.legacy_reshape={legacy}, which is True in models of two stages alone'

    def unpublished(self, state: dict[str, Tensor]) -> str:
        """Return advice about a file of the first of two stages."""
        pixels = ('pixel_', 'decoder.conv_out.')
        if any(name.startswith(pixels) for name in state):
            return ''
        return (
            'It looks like a file of the first stage, which predicts codes instead of pixels: '
            'give the config of that stage, such as configs/titok/s128_stage1.py.'
        )
