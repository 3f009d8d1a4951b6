"""OmniTokenizer's tokenizers of images, files of Lightning from FoundationVision/OmniTokenizer.

See docs/reference/specification.md, OmniTokenizer.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import Convert, Derived, Lost, Rename, Rule, reshape
from openmagvit2.models.discriminators import PatchGAN
from openmagvit2.models.layers.window_attention import WindowAttention, offset_numbers
from openmagvit2.registry import CONVERTERS

FEED_FORWARD = (('0.', '0.'), ('1.', '1.'), ('3.', '4.'))
ATTENTION = (
    ('norm.weight', 'norm.gamma'),
    ('query.', 'to_q.'),
    ('key_value.', 'to_kv.'),
    ('out.', 'to_out.'),
    ('query_scale', 'q_scale'),
    ('key_scale', 'k_scale'),
    ('bias.layers.0.', 'spatial_rel_pos_bias.net.0.0.'),
    ('bias.layers.2.', 'spatial_rel_pos_bias.net.1.0.'),
    ('bias.layers.4.', 'spatial_rel_pos_bias.net.2.'),
    # Attention in windows.
    ('qkv.', 'qkv.'),
    ('proj.', 'proj.'),
    ('bias', 'relative_position_bias_table'),
)
PARTS = (('encoder', 'enc'), ('decoder', 'dec'))
KINDS = ('spatial', 'temporal')


def _blocks(part: str, short: str, kind: str) -> list[Rule]:
    """Return the rules of one transformer."""
    official = f'{part}.{short}_{kind}_transformer'
    block, layer = f'{part}.{kind}.blocks.{{i}}', f'{official}.layers.{{i}}'
    return [
        reshape(f'{block}.peg.weight', f'{layer}.0.dsconv.weight', lambda x: x[:, :, 2], _frames),
        Rename(f'{block}.peg.bias', f'{layer}.0.dsconv.bias'),
        reshape(f'{block}.attention.value.weight', f'{layer}.1.to_kv.weight', _second, _with_zeros),
        *(Rename(f'{block}.attention.{a}', f'{layer}.1.{b}') for a, b in ATTENTION),
        *(Rename(f'{block}.feed_forward.{a}', f'{layer}.3.{b}') for a, b in FEED_FORWARD),
        Rename(f'{part}.{kind}.norm.weight', f'{official}.norm_out.gamma'),
    ]


def _frames(x: Tensor) -> Tensor:
    """Extend a kernel (D, 1, 3, 3) by two earlier frames of zeros."""
    return torch.stack([torch.zeros_like(x), torch.zeros_like(x), x], 2)


def _second(x: Tensor) -> Tensor:
    return x.chunk(2)[1].clone()


def _with_zeros(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x), x])


RULES = (
    *(
        Rename(f'encoder.patch_embed.{i}.', f'encoder.to_patch_emb_first_frame.{i + 1}.')
        for i in range(3)
    ),
    *(rule for part, short in PARTS for kind in KINDS for rule in _blocks(part, short, kind)),
    Rename('encoder.out.', 'pre_vq_conv.1.'),
    Rename('decoder.embed.', 'post_vq_conv.1.'),
    Rename('decoder.out.', 'decoder.to_pixels_first_frame.0.'),
    Rename('quantizer.embedding.weight', 'codebook.embeddings'),
    Rename('quantizer.code_count', 'codebook.N'),
    Rename('quantizer.code_sum', 'codebook.z_avg'),
    # Whether the table was initialized; no official tensor says so.
    Convert(['quantizer.started'], [], lambda _: [torch.ones((), dtype=torch.int64)], lambda _: []),
)


def _discriminator(model: Any) -> list[Rule]:
    """Return the rules of the discriminator; official pixels have half the range of ours."""
    part = getattr(model, 'discriminator', None)
    layers = part.main if isinstance(part, PatchGAN) else ()
    last = sum(isinstance(layer, nn.Conv2d) for layer in layers) - 1
    official = 'image_discriminator'
    rules: list[Rule] = [
        reshape(
            'discriminator.noise', f'{official}.noise.weight', lambda x: 2 * x, lambda x: x / 2
        ),
        reshape(
            'discriminator.main.0.weight',
            f'{official}.model0.0.weight',
            lambda x: x / 2,
            lambda x: 2 * x,
        ),
        Rename('discriminator.main.0.bias', f'{official}.model0.0.bias'),
    ]
    for n in range(1, last):
        # A filter without weights precedes the convolutions of stride 2.
        first = int(layers[3 * n - 1].stride[0] == 2)
        rules += [
            Rename(f'discriminator.main.{3 * n - 1 + k}.', f'{official}.model{n}.{first + k}.')
            for k in (0, 1)
        ]
    return [*rules, Rename(f'discriminator.main.{3 * last - 1}.', f'{official}.model{last}.0.')]


@CONVERTERS.register_module()
class OmniTokenizer(Converter):
    """Tokenizers of images and videos; what only videos need is not converted."""

    stage = 'tokenizer'
    configs = ('tiny/omni_tokenizer_32', 'tiny/omni_tokenizer_bias_32')
    marks = (
        'encoder.to_patch_emb',
        'encoder.enc_',
        'decoder.dec_',
        'codebook.',
        'pre_vq_conv.',
        'post_vq_conv.',
        'image_discriminator.',
        'video_discriminator.',
    )
    discriminator = 'image_discriminator.'

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.to_patch_emb_first_frame.1.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        return [
            *RULES,
            *_discriminator(model),
            *_without_place(model),
            Lost('encoder.to_patch_emb.', 'for videos'),
            Lost('decoder.to_pixels.', 'for videos'),
            Lost('video_discriminator.', 'for videos'),
            Lost('perceptual_model.', 'LPIPS, not part of the model'),
        ]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a missing part: the blocks over frames, or the table."""
        names = ('encoder.temporal.norm', 'decoder.temporal.norm', 'quantizer.embedding')
        state = model.state_dict()
        return next((name for name in names if f'{name}.weight' not in state), None)


def _without_place(model: Any) -> list[Rule]:
    """Return the rules for official tensors of attentions and for counts, which we do not keep."""
    shifts: dict[str, Tensor] = {}
    offsets: dict[str, Tensor] = {}
    frames: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for part, short, kind in ((part, short, kind) for part, short in PARTS for kind in KINDS):
        network = model.get_submodule(part)
        transformer = network.get_submodule(kind)
        official, dim = f'{part}.{short}_{kind}_transformer', len(transformer.norm.weight)
        shifts[f'{official}.norm_out.beta'] = torch.zeros(dim, device='cpu')
        for i, attention in enumerate(block.attention for block in transformer.blocks):
            name = f'{official}.layers.{i}.1'
            if kind == 'temporal':
                frames |= _queries_and_keys(name, *attention.out.weight.shape, network.num_heads)
            else:
                shifts[f'{name}.norm.beta'] = torch.zeros(dim, device='cpu')
            if isinstance(attention, WindowAttention):
                numbers = offset_numbers(attention.window, attention.window)
                offsets[f'{name}.relative_position_index'] = numbers
            else:
                others |= _norm(f'{name}.context_norm', dim)
    table = len(model.quantizer.embedding.weight)
    counts = {'codebook.codebook_usage': torch.zeros(table, device='cpu')}
    return [
        Derived(shifts, 'shift of norms, zero'),
        Derived(offsets, 'table of offsets'),
        Lost(
            frames,
            'for videos: with one frame, attention returns its value; neutral on the way back',
            label='queries and keys over frames',
        ),
        Lost(others, 'norms that the official code never reads', label='context_norm'),
        Lost(counts, 'counts, which nothing reads', label='codebook.codebook_usage'),
    ]


def _norm(name: str, dim: int) -> dict[str, Tensor]:
    ones, zeros = torch.ones(dim, device='cpu'), torch.zeros(dim, device='cpu')
    return {f'{name}.gamma': ones, f'{name}.beta': zeros}


def _queries_and_keys(official: str, dim: int, inner: int, heads: int) -> dict[str, Tensor]:
    """Return norm, queries, scales and biases of an attention with ``inner`` channels."""
    tensors = _norm(f'{official}.norm', dim)
    tensors[f'{official}.to_q.weight'] = torch.zeros(inner, dim, device='cpu')
    for name in ('q_scale', 'k_scale'):
        tensors[f'{official}.{name}'] = torch.ones(inner // heads, device='cpu')
    for name, rows, columns in (('0.0', dim, 2), ('1.0', dim, dim), ('2', heads, dim)):
        bias = f'{official}.spatial_rel_pos_bias.net.{name}'
        tensors[f'{bias}.weight'] = torch.zeros(rows, columns, device='cpu')
        tensors[f'{bias}.bias'] = torch.zeros(rows, device='cpu')
    return tensors
