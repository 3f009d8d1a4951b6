"""TiTok's masked generators.

See docs/reference/specification.md, TiTok.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rar import shared_table
from openmagvit2.checkpoint.converters.rules import (
    Lost,
    Rename,
    Rule,
    join_qkv,
    squeeze,
)
from openmagvit2.registry import CONVERTERS

OURS, LAYER = 'backbone.blocks.{i}.', 'model.encoder.layer.{i}.'
EMBEDDINGS = 'model.embeddings.'
TABLE = f'{EMBEDDINGS}word_embeddings.weight'
BERT = (
    Rename('backbone.position_embedding.weight', f'{EMBEDDINGS}position_embeddings.weight'),
    Rename('backbone.type_embedding.weight', f'{EMBEDDINGS}token_type_embeddings.weight'),
    Rename('backbone.norm.', f'{EMBEDDINGS}LayerNorm.'),
    *join_qkv(f'{OURS}attention.', f'{LAYER}attention.self.'),
    Rename(f'{OURS}attention.out.', f'{LAYER}attention.output.dense.'),
    Rename(f'{OURS}attention_norm.', f'{LAYER}attention.output.LayerNorm.'),
    Rename(f'{OURS}fc1.', f'{LAYER}intermediate.dense.'),
    Rename(f'{OURS}fc2.', f'{LAYER}output.dense.'),
    Rename(f'{OURS}ffn_norm.', f'{LAYER}output.LayerNorm.'),
    Rename('head.classifiers.0.', 'model.lm_head.'),
    Lost(f'{EMBEDDINGS}position_ids', 'numbers of positions, in some files'),
)
BLOCK = (
    ('norm1.', 'norm1.'),
    ('attention.qkv.', 'attn.qkv.'),
    ('attention.out.', 'attn.proj.'),
    ('norm2.', 'norm2.'),
    ('fc1.', 'mlp.fc1.'),
    ('fc2.', 'mlp.fc2.'),
)
UVIT = (
    squeeze('backbone.position_embedding.weight', 'pos_embed', (0,)),
    *(
        Rename(f'backbone.{ours}.{a}', f'{official}.{b}')
        for ours, official in (
            ('in_blocks.{i}', 'in_blocks.{i}'),
            ('middle', 'mid_block'),
            ('out_blocks.{i}', 'out_blocks.{i}'),
        )
        for a, b in BLOCK
    ),
    Rename('backbone.skips.{i}.', 'out_blocks.{i}.skip_linear.'),
    Rename('head.norm.', 'norm.'),
    Rename('head.classifiers.0.', 'lm_head.'),
)


@CONVERTERS.register_module()
class TiTokMasked(Converter):
    """Transformers like BERT or U-ViT; their tokenizer has a file of its own."""

    stage = 'generator'
    configs = ('tiny/titok_ar_32', 'tiny/titok_ar_uvit_32')
    marks = (
        EMBEDDINGS,
        'model.encoder.layer.',
        'model.lm_head.',
        'in_blocks.',
        'out_blocks.',
        'mid_block.',
        'lm_head.',
    )
    bare = True

    def detects(self, state: dict[str, Tensor]) -> bool:
        return TABLE in state or 'out_blocks.0.skip_linear.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        skips = any(name.startswith('backbone.skips.') for name in model.state_dict())
        own, table = (UVIT, 'embeddings.weight') if skips else (BERT, TABLE)
        return [shared_table(table, model.head.vocab_sizes[0]), *own]
