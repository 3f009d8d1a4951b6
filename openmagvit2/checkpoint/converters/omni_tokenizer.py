"""OmniTokenizer's files, Lightning's of FoundationVision/OmniTokenizer: what images need of them.

See docs/reference/specification.md, OmniTokenizer.
"""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile
from openmagvit2.checkpoint.converters.rules import Derived, Link, Lost, Rename, Rule, reshape
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.models.discriminators import PatchGAN
from openmagvit2.models.layers.window_attention import WindowAttention, offset_numbers
from openmagvit2.registry import CONVERTERS

FILES = tuple(
    OfficialFile(
        f'{name}.ckpt', 'Daniel0724/OmniTokenizer', f'configs/omni_tokenizer/{config}.py', (kind,)
    )
    for name, config, kind in (
        ('imagenet_ucf', 'vq_256', 'rope'),
        ('imagenet_k600', 'vq_256_k600', 'rope'),
        ('imagenet_mit', 'vq_256_mit', 'rope'),
        ('imagenet_sthv2', 'vq_256_sthv2', 'rope'),
        ('imagenet_only', 'vq_256_images', 'bias'),
    )
)
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
    # Windows.
    ('qkv.', 'qkv.'),
    ('proj.', 'proj.'),
    ('bias', 'relative_position_bias_table'),
)
PARTS = (('encoder', 'enc'), ('decoder', 'dec'))
KINDS = ('spatial', 'temporal')
# Of blocks over frames: of a single frame the attention is its value.
UNREAD = re.compile(
    r'(?:en|de)coder\.(?:enc|dec)_temporal_transformer\.layers\.\d+\.1\.'
    r'(?:norm|to_q|[qk]_scale|spatial_rel_pos_bias)\b.*'
)


def _blocks(part: str, short: str, kind: str) -> list[Rule]:
    """Return rules of one transformer."""
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
    """Give a kernel (D, 1, 3, 3) two earlier frames, all zero."""
    return torch.stack([torch.zeros_like(x), torch.zeros_like(x), x], 2)


def _second(x: Tensor) -> Tensor:
    return x.chunk(2)[1].clone()


def _with_zeros(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x), x])


class Started(Rule):
    """A table that was set to latents before, which no official tensor says."""

    def link(self, name: str) -> Link | None:
        if name != 'quantizer.started':
            return None
        return Link((name,), (), lambda _: [torch.ones((), dtype=torch.int64)], lambda _: [])


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
    Started(),
)


def _discriminator(model: Any) -> list[Rule]:
    """Return rules of the discriminator, whose pixels are half as far apart in the file."""
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
        # A filter stands before the convolutions of stride 2, without weights.
        first = int(layers[3 * n - 1].stride[0] == 2)
        rules += [
            Rename(f'discriminator.main.{3 * n - 1 + k}.', f'{official}.model{n}.{first + k}.')
            for k in (0, 1)
        ]
    return [*rules, Rename(f'discriminator.main.{3 * last - 1}.', f'{official}.model{last}.0.')]


@CONVERTERS.register_module()
class OmniTokenizer(Converter):
    """Tokenizers of images and videos, of which images are converted."""

    files = FILES
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
    training_only = ('image_discriminator.',)

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.to_patch_emb_first_frame.1.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        if is_generator(model):
            return []
        return [
            *RULES,
            *_discriminator(model),
            Derived(_shifts(model), 'shift of norms, which is zero'),
            Derived(_offset_tables(model), 'table of offsets'),
            Lost(
                lambda name: UNREAD.fullmatch(name) is not None,
                'of videos: an image has one frame, whose attention is its value; neutral on the '
                'way back',
                label='queries and keys over frames',
                fill=_neutral(model),
            ),
            Lost(
                lambda name: '.context_norm.' in name,
                'norms that the official code never reads',
                label='context_norm',
                fill=_context_norms(model),
            ),
            Lost('codebook.codebook_usage', 'counts, which nothing reads', fill=_usage(model)),
            Lost('encoder.to_patch_emb.', 'patches of videos'),
            Lost('decoder.to_pixels.', 'patches of videos'),
            Lost('video_discriminator.', 'of videos'),
            Lost('perceptual_model.', 'LPIPS, which is no part of the model'),
        ]

    def misfit(self, model: Any) -> str | None:
        """Return a generator."""
        return 'generator' if is_generator(model) else None

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return how positions enter the attention: 'rope' or 'bias'."""
        name = 'encoder.enc_spatial_transformer.layers.0.1.spatial_rel_pos_bias.net.2.bias'
        return ('bias',) if name in state else ('rope',)


# ---- official tensors that ours do not have ------------------------------------------------------
def _transformers(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the transformers: their official names, themselves, and the networks they are in."""
    for part, short in PARTS:
        network = dict(model.named_children()).get(part)
        for kind in KINDS:
            transformer = getattr(network, kind, None)
            if isinstance(transformer, nn.Module):
                yield f'{part}.{short}_{kind}_transformer', transformer, network


def _attentions(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the attentions: their official names, themselves, and the networks they are in."""
    for official, transformer, network in _transformers(model):
        for i, block in enumerate(transformer.blocks):
            yield f'{official}.layers.{i}.1', block.attention, network


def _is_over_frames(official: str) -> bool:
    """Return whether an attention is over frames, by its official name."""
    return '_temporal_transformer.' in official


def _shifts(model: Any) -> dict[str, Tensor]:
    """Return the shifts of norms; :func:`_neutral` has those of attentions over frames."""
    widths = {
        f'{official}.norm_out.beta': transformer.norm.weight
        for official, transformer, _ in _transformers(model)
    } | {
        f'{official}.norm.beta': attention.norm.weight
        for official, attention, _ in _attentions(model)
        if not _is_over_frames(official)
    }
    return {name: torch.zeros(len(weight), device='cpu') for name, weight in widths.items()}


def _offset_tables(model: Any) -> dict[str, Tensor]:
    """Return the numbers of the offsets between the cells of windows."""
    return {
        f'{official}.relative_position_index': offset_numbers(attention.window, attention.window)
        for official, attention, _ in _attentions(model)
        if isinstance(attention, WindowAttention)
    }


def _context_norms(model: Any) -> dict[str, Tensor]:
    """Return the norms of another sequence's cells, which all attentions but windows have."""
    norms: dict[str, Tensor] = {}
    for official, attention, _ in _attentions(model):
        if not isinstance(attention, WindowAttention):
            norms |= _norm(f'{official}.context_norm', attention.out.out_features)
    return norms


def _usage(model: Any) -> dict[str, Tensor]:
    """Return the counts of the codes."""
    table = getattr(getattr(model, 'quantizer', None), 'embedding', None)
    if table is None:
        return {}
    return {'codebook.codebook_usage': torch.zeros(table.num_embeddings, device='cpu')}


def _neutral(model: Any) -> dict[str, Tensor]:
    """Return what attentions over frames have beside their values, see ``UNREAD``."""
    neutral: dict[str, Tensor] = {}
    for official, attention, network in _attentions(model):
        if _is_over_frames(official):
            inner, dim = attention.value.weight.shape
            neutral |= _queries_and_keys(official, dim, inner, network.num_heads)
    return neutral


def _norm(name: str, dim: int) -> dict[str, Tensor]:
    ones, zeros = torch.ones(dim, device='cpu'), torch.zeros(dim, device='cpu')
    return {f'{name}.gamma': ones, f'{name}.beta': zeros}


def _queries_and_keys(official: str, dim: int, inner: int, heads: int) -> dict[str, Tensor]:
    """Return norm, queries, scales and biases of one attention of ``inner`` channels."""
    tensors = _norm(f'{official}.norm', dim)
    tensors[f'{official}.to_q.weight'] = torch.zeros(inner, dim, device='cpu')
    for name in ('q_scale', 'k_scale'):
        tensors[f'{official}.{name}'] = torch.ones(inner // heads, device='cpu')
    for name, rows, columns in (('0.0', dim, 2), ('1.0', dim, dim), ('2', heads, dim)):
        bias = f'{official}.spatial_rel_pos_bias.net.{name}'
        tensors[f'{bias}.weight'] = torch.zeros(rows, columns, device='cpu')
        tensors[f'{bias}.bias'] = torch.zeros(rows, device='cpu')
    return tensors
