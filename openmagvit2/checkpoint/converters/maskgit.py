"""MaskGIT's tokenizer and transformer, two files of flax.

See docs/reference/specification.md, MaskGIT.
"""

from typing import Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.converters.base import Converter, count
from openmagvit2.checkpoint.converters.rules import (
    Convert,
    Lost,
    Rename,
    Rule,
    Under,
    first_link,
    permute,
)
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

LAYER = 'params.TransformerLayer_{i}.'
ATTENTION = f'{LAYER}Attention_0.self_attention.'
BLOCK = 'backbone.blocks.{i}.'


@CONVERTERS.register_module()
class MaskGit(Converter):
    """Files of tokenizer and transformer, which may be converted together.

    The tokenizer of a transformer may be of another kind; then it is not converted.
    """

    configs = ('tiny/maskgit_32_official', 'tiny/maskgit_vq_32')
    marks = (
        'params.Embed_0.',
        'params.TransformerLayer_',
        'params.MlmLayer_0.',
        'params.encoder.',
        'params.decoder.',
        'params.quantizer.',
    )
    tokenizer = ('params.encoder.', 'params.decoder.', 'params.quantizer.')

    def rules(self, model: Any) -> list[Rule]:
        """Return rules for the tokenizer or, if the model is a generator, for its transformer."""
        if not is_generator(model):
            return _tokenizer(model)
        own = _tokenizer(model.tokenizer)
        tokenizer: Rule = Lost('tokenizer.', "not of MaskGIT's kind", label='tokenizer')
        if all(first_link(own, name) for name in model.tokenizer.state_dict()):
            tokenizer = Under('tokenizer.', '', own)
        return [*self._transformer(model.backbone.num_heads), tokenizer]

    @staticmethod
    def _transformer(heads: int) -> list[Rule]:
        return [
            Rename('head.embeddings.0.weight', 'params.Embed_0.word_embeddings.embedding'),
            Rename(
                'backbone.position_embedding.weight', 'params.Embed_0.position_embeddings.embedding'
            ),
            *_norm('backbone.norm', 'params.Embed_0.embeddings_ln'),
            Convert(
                [f'{BLOCK}attention.qkv.weight'],
                [f'{ATTENTION}{name}.kernel' for name in ('query', 'key', 'value')],
                lambda parts: [torch.cat([x.flatten(1).T for x in parts])],
                lambda parts: [_heads(x.T, heads, 1) for x in parts[0].chunk(3)],
            ),
            Convert(
                [f'{BLOCK}attention.qkv.bias'],
                [f'{ATTENTION}{name}.bias' for name in ('query', 'key', 'value')],
                lambda parts: [torch.cat([x.flatten() for x in parts])],
                lambda parts: [_heads(x, heads, 0) for x in parts[0].chunk(3)],
            ),
            Convert(
                [f'{BLOCK}attention.out.weight'],
                [f'{ATTENTION}out.kernel'],
                lambda parts: [parts[0].flatten(0, 1).T.contiguous()],
                lambda parts: [_heads(parts[0].T, heads, 0)],
            ),
            Rename(f'{BLOCK}attention.out.bias', f'{ATTENTION}out.bias'),
            *_norm(f'{BLOCK}attention_norm', f'{LAYER}Attention_0.attention_output_ln'),
            *_linear(f'{BLOCK}fc1', f'{LAYER}Mlp_0.intermediate_output'),
            *_linear(f'{BLOCK}fc2', f'{LAYER}Mlp_0.layer_output'),
            *_norm(f'{BLOCK}ffn_norm', f'{LAYER}Mlp_0.layer_output_ln'),
            *_linear('head.dense', 'params.MlmLayer_0.mlm_dense'),
            *_norm('head.norm', 'params.MlmLayer_0.mlm_ln'),
            Rename('head.bias', 'params.MlmLayer_0.mlm_bias.bias'),
        ]


def _tokenizer(model: Any) -> list[Rule]:
    """Return the rules of the tokenizer; flax numbers its layers in order."""
    names = model.state_dict()
    levels = count(names, r'encoder\.down\.(\d+)\.')
    per_level = count(names, r'encoder\.down\.0\.block\.(\d+)\.')
    down = [f'down.{i}.block.{j}' for i in range(levels) for j in range(per_level)]
    up = [f'up.{i}.block.{j}' for i in reversed(range(levels)) for j in range(per_level)]
    middle = [f'mid_block.{j}' for j in range(per_level)]
    resample = [f'up.{i}.upsample.conv' for i in reversed(range(1, levels))]
    rules: list[Rule] = [Rename('quantizer.embedding.weight', 'params.quantizer.codebook')]
    for part, blocks, convs in (
        ('encoder', [*down, *middle], ['conv_in', 'conv_out']),
        ('decoder', [*middle, *up], ['conv_in', *resample, 'conv_out']),
    ):
        official = f'params.{part}'
        rules += _norm(f'{part}.norm_out', f'{official}.GroupNorm_0')
        for i, name in enumerate(convs):
            rules += _conv(f'{part}.{name}', f'{official}.Conv_{i}')
        for i, name in enumerate(blocks):
            block = f'{official}.ResBlock_{i}'
            for j in range(2):
                rules += _norm(f'{part}.{name}.norm{j + 1}', f'{block}.GroupNorm_{j}')
            for j, conv in enumerate(('conv1', 'conv2', 'nin_shortcut')):
                rules += _conv(f'{part}.{name}.{conv}', f'{block}.Conv_{j}')
    return rules


def _conv(ours: str, official: str) -> list[Rule]:
    """Return the rules of a convolution; flax orders its axes height, width, input, output."""
    return [
        permute(f'{ours}.weight', f'{official}.kernel', (3, 2, 0, 1)),
        Rename(f'{ours}.bias', f'{official}.bias'),
    ]


def _heads(x: Tensor, heads: int, axis: int) -> Tensor:
    """Split an axis into heads and channels."""
    return x.unflatten(axis, (heads, -1)).contiguous()


def _linear(ours: str, official: str) -> list[Rule]:
    """Return the rules of a linear layer; flax stores its weight transposed."""
    return [
        permute(f'{ours}.weight', f'{official}.kernel', (1, 0)),
        Rename(f'{ours}.bias', f'{official}.bias'),
    ]


def _norm(ours: str, official: str) -> list[Rule]:
    return [
        Rename(f'{ours}.weight', f'{official}.scale'),
        Rename(f'{ours}.bias', f'{official}.bias'),
    ]
