"""MaskGIT's transformer, written by flax (docs/reference/specification.md, MaskGIT)."""

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import Convert, Lost, Rename, Rule, permute
from openmagvit2.registry import CONVERTERS

LAYER = 'params.TransformerLayer_{i}.'
ATTENTION = f'{LAYER}Attention_0.self_attention.'
BLOCK = 'backbone.blocks.{i}.'


@CONVERTERS.register_module()
class MaskGit(Converter):
    """The transformer; its tokenizer is a file of its own."""

    configs = ('tiny/maskgit_32_official',)
    marks = ('params.Embed_0.', 'params.TransformerLayer_', 'params.MlmLayer_0.')

    def rules(self, model: nn.Module) -> list[Rule]:
        """See :class:`Converter`."""
        heads = getattr(getattr(model, 'backbone', None), 'num_heads', 1)
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
            Lost('tokenizer.', 'has a file of its own', label='tokenizer'),
        ]


def _heads(x: Tensor, heads: int, axis: int) -> Tensor:
    """An axis of heads times channels as two."""
    return x.unflatten(axis, (heads, -1)).contiguous()


def _linear(ours: str, official: str) -> list[Rule]:
    """A linear layer: flax keeps its weight transposed."""
    return [
        permute(f'{ours}.weight', f'{official}.kernel', (1, 0)),
        Rename(f'{ours}.bias', f'{official}.bias'),
    ]


def _norm(ours: str, official: str) -> list[Rule]:
    return [
        Rename(f'{ours}.weight', f'{official}.scale'),
        Rename(f'{ours}.bias', f'{official}.bias'),
    ]
