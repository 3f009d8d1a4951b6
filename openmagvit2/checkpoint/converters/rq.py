"""RQ-VAE's and RQ-Transformer's files, one of each in an archive.

See docs/reference/specification.md, Residual quantization.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, count
from openmagvit2.checkpoint.converters.ibq import CNN, PROJECTIONS
from openmagvit2.checkpoint.converters.rules import (
    NO_LECAM,
    Chain,
    Convert,
    Rename,
    Rows,
    Rule,
    Same,
    Under,
    join_qkv,
    squeeze,
)
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

REPOSITORY = 'https://github.com/kakaobrain/rq-vae-transformer'
# Archive and what inside of it, config, and the result of layout(): width, layers of both parts.
FILES = tuple(
    OfficialFile(f'{archive}.tar.gz ({stage})', REPOSITORY, f'configs/rq/{config}.py', layout)
    for archive, stage, config, layout in (
        ('imagenet_480M', 'stage 1', 'rq_vae_256', ('tokenizer', 16384, 4)),
        ('imagenet_1.4B_rqvae_50e', 'stage 1', 'rq_vae_256_50e', ('tokenizer', 16384, 4)),
        ('imagenet_480M', 'stage 2', 'ar_480m_256', ('generator', 1536, 12, 4)),
        ('imagenet_821M', 'stage 2', 'ar_821m_256', ('generator', 1536, 24, 4)),
        ('imagenet_1.4B', 'stage 2', 'ar_1400m_256', ('generator', 1536, 42, 6)),
        ('imagenet_1.4B_rqvae_50e', 'stage 2', 'ar_1400m_256_50e', ('generator', 1536, 42, 6)),
        ('imagenet_3.8B_rqvae_50e', 'stage 2', 'ar_3800m_256_50e', ('generator', 2560, 42, 6)),
    )
)
TABLE = 'quantizer.codebooks'
BLOCKS = (
    ('backbone.blocks.{i}.', 'body_transformer.blocks.{i}.'),
    ('head.blocks.{i}.', 'head_transformer.blocks.{i}.'),
)


@CONVERTERS.register_module()
class Rq(Converter):
    """Two files, of tokenizer and transformer; given together, they become one of ours."""

    files = FILES
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
    beside = ('discriminator',)
    training_only = ('discriminator.', 'beside.discriminator.')
    separate = {
        'tokenizer': (
            'encoder.',
            'decoder.',
            'quantizer.',
            'quant_conv.',
            'post_quant_conv.',
            'beside.',
        )
    }

    def rules(self, model: nn.Module) -> list[Rule]:
        if is_generator(model):
            tokenizer = Under('tokenizer.', '', _tokenizer(model.tokenizer.quantizer))
            return [tokenizer, *_transformer()]
        return [
            *_tokenizer(model.quantizer),
            Rename('discriminator.', 'beside.discriminator.'),
            NO_LECAM,
        ]

    def misfit(self, model: Any) -> str | None:
        """Return a quantizer without a table of running averages for all depths."""
        tokenizer = model.tokenizer if is_generator(model) else model
        averages = 'quantizer.quantizer.code_count' in tokenizer.state_dict()
        depth = getattr(tokenizer.quantizer, 'depth', None)
        return None if averages and depth else 'quantizer without one table for several depths'

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return ('tokenizer', codes, depth) or ('generator', width, body layers, head layers)."""
        width = getattr(state.get('pos_emb_cond'), 'shape', None)
        if width is not None:
            parts = ('body', 'head')
            layers = (count(state, rf'{part}_transformer\.blocks\.(\d+)\.') for part in parts)
            return ('generator', width[-1], *layers)
        table = getattr(state.get(f'{TABLE}.0.cluster_size_ema'), 'shape', None)
        if table is None:
            return None
        return ('tokenizer', table[0], count(state, r'quantizer\.codebooks\.(\d+)\.'))


def _tokenizer(quantizer: Any) -> list[Rule]:
    """Return rules of the tokenizer, whose one table has a name for each depth in the file."""
    depths = range(getattr(quantizer, 'depth', 1))
    weights, counts, sums = (
        [f'{TABLE}.{depth}.{name}' for depth in depths]
        for name in ('weight', 'cluster_size_ema', 'embed_ema')
    )
    table = 'quantizer.quantizer.embedding.weight'
    return [
        *CNN,
        # The last row pads shorter sequences.
        Chain(Rows(table, weights[0]), Same(weights[0], weights)),
        Same('quantizer.quantizer.code_count', counts),
        Same('quantizer.quantizer.code_sum', sums),
        *PROJECTIONS,
    ]


def _transformer() -> list[Rule]:
    rules: list[Rule] = [
        Rename('class_embedding.weight', 'cond_emb.weight'),
        Convert(
            ['backbone.position_embedding.weight'],
            ['pos_emb_cond', 'pos_emb_hw'],
            lambda parts: [torch.cat([x[0] for x in parts])],
            lambda parts: [x[None].clone() for x in (parts[0][:1], parts[0][1:])],
        ),
        Rename('head.embeddings.project.', 'input_mlp.'),
        Rename('head.project.', 'head_mlp.'),
        squeeze('head.depth_embedding', 'pos_emb_d', (0,)),
        Rename('head.norm.', 'classifier.layer_norm.'),
        Rename('head.classifiers.0.', 'classifier.linear.'),
    ]
    for ours, official in BLOCKS:
        rules += [
            *join_qkv(f'{ours}attention.', f'{official}attn.'),
            Rename(f'{ours}attention.out.', f'{official}attn.proj.'),
            Rename(f'{ours}attention_norm.', f'{official}ln1.'),
            Rename(f'{ours}ffn_norm.', f'{official}ln2.'),
            Rename(f'{ours}fc1.', f'{official}mlp.0.'),
            Rename(f'{ours}fc2.', f'{official}mlp.2.'),
        ]
    return rules
