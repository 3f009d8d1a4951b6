"""RQ-VAE's tokenizers and RQ-Transformers; an archive contains one file of each.

See docs/reference/specification.md, Residual quantization.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import (
    Change,
    Convert,
    Rename,
    Rule,
    Under,
    keep,
    squeeze,
)
from openmagvit2.checkpoint.converters.taming import CNN, PROJECTIONS, gpt_block
from openmagvit2.checkpoint.stages import is_generator, tokenizer_of
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS

TABLE = 'quantizer.codebooks'
TRANSFORMER = (
    Rename('class_embedding.weight', 'cond_emb.weight'),
    Convert(
        ['backbone.position_embedding.weight'],
        ['pos_emb_cond', 'pos_emb_hw'],
        lambda parts: [torch.cat([x[0] for x in parts])],
        lambda parts: [x[None].clone() for x in (parts[0][:1], parts[0][1:])],
    ),
    *gpt_block('backbone.blocks.{i}.', 'body_transformer.blocks.{i}.'),
    *gpt_block('head.blocks.{i}.', 'head_transformer.blocks.{i}.'),
    Rename('head.embeddings.project.', 'input_mlp.'),
    Rename('head.project.', 'head_mlp.'),
    squeeze('head.depth_embedding', 'pos_emb_d', (0,)),
    Rename('head.norm.', 'classifier.layer_norm.'),
    Rename('head.classifiers.0.', 'classifier.linear.'),
)


@CONVERTERS.register_module()
class Rq(Converter):
    """Files of tokenizer and transformer, which may be converted together."""

    configs = ('tiny/rq_32', 'tiny/ar_rq_32')
    marks = (
        f'{TABLE}.',
        'body_transformer.',
        'head_transformer.',
        'pos_emb_cond',
        'pos_emb_hw',
        'pos_emb_d',
        'cond_emb.',
        'input_mlp.',
        'head_mlp.',
        'classifier.layer_norm.',
    )
    discriminator = 'beside.discriminator.'
    tokenizer = (
        'encoder.',
        'decoder.',
        'quantizer.',
        'quant_conv.',
        'post_quant_conv.',
        'beside.',
    )
    entries = {'state_dict': '', 'discriminator': ''}

    def rules(self, model: nn.Module) -> list[Rule]:
        if is_generator(model):
            tokenizer = Under('tokenizer.', '', _tokenizer(model.tokenizer.quantizer))
            return [tokenizer, *TRANSFORMER]
        discriminator = Rename('discriminator.', self.discriminator)
        return [*_tokenizer(model.quantizer), discriminator]

    def misfit(self, model: Any) -> str | None:
        """Return a quantizer that does not share one table with averages among several depths."""
        tokenizer = tokenizer_of(model)
        averages = 'quantizer.quantizer.code_count' in tokenizer.state_dict()
        depth = getattr(tokenizer.quantizer, 'depth', None)
        return None if averages and depth else 'quantizer without one table for several depths'


def _tokenizer(quantizer: Any) -> list[Rule]:
    depth, ours = quantizer.depth, 'quantizer.quantizer'
    return [
        *CNN,
        _shared(f'{ours}.embedding.weight', 'weight', depth, _unpadded, _padded),
        _shared(f'{ours}.code_count', 'cluster_size_ema', depth),
        _shared(f'{ours}.code_sum', 'embed_ema', depth),
        *PROJECTIONS,
    ]


def _shared(
    ours: str,
    official: str,
    depth: int,
    to_ours: Change = keep,
    to_official: Change = keep,
) -> Rule:
    """Return the rule for a tensor that official files repeat for each depth."""
    names = [f'{TABLE}.{i}.{official}' for i in range(depth)]

    def one(tensors: list[Tensor]) -> list[Tensor]:
        """Return the first tensor; raise UserError if another differs."""
        for name, tensor in zip(names, tensors, strict=True):
            if not tensor.equal(tensors[0]):
                raise UserError(f'{name} differs from {names[0]}; the two must be equal.')
        return to_ours(tensors[:1])

    return Convert([ours], names, one, lambda tensors: to_official(tensors) * depth)


def _unpadded(tables: list[Tensor]) -> list[Tensor]:
    """Remove the last row, which is for padding; raise UserError if it is not zero."""
    if not tables[0].is_meta and tables[0][-1].any():
        raise UserError(f'{TABLE}.0.weight: the last row must be zero.')
    return [tables[0][:-1]]


def _padded(tables: list[Tensor]) -> list[Tensor]:
    return [torch.cat([tables[0], tables[0].new_zeros(1, tables[0].shape[1])])]
