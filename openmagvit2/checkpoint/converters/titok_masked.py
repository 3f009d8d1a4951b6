"""TiTok's generators of masked tokens, bare state dicts without a tokenizer, of two kinds.

See docs/reference/specification.md, TiTok.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, count
from openmagvit2.checkpoint.converters.rar import shared_table
from openmagvit2.checkpoint.converters.rules import (
    NO_TOKENIZER,
    Lost,
    Rename,
    Rule,
    join_qkv,
    squeeze,
)
from openmagvit2.checkpoint.stages import is_generator
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
    Lost(f'{EMBEDDINGS}position_ids', 'numbers of positions, which some files have'),
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
    """Transformers of masked latent tokens, BERT's or U-ViT's; the tokenizer's file is another."""

    files = tuple(
        OfficialFile(
            f'generator_titok_{name}.bin',
            'fun-research/TiTok',
            f'configs/titok/ar_{name}.py',
            layout,
        )
        for name, layout in (
            ('l32', (33, 768, 24)),
            ('b64', (65, 768, 24)),
            ('s128', (129, 1024, 20)),
        )
    )
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
        if not is_generator(model):
            return []
        skips = any(name.startswith('backbone.skips.') for name in model.state_dict())
        own, table = (UVIT, 'embeddings.weight') if skips else (BERT, TABLE)
        return [NO_TOKENIZER, shared_table(table, model.head.vocab_sizes[0]), *own]

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return (rows of positions, width, blocks)."""
        places = state.get(f'{EMBEDDINGS}position_embeddings.weight', state.get('pos_embed'))
        if places is None or places.dim() < 2:
            return None
        blocks = count(state, r'model\.encoder\.layer\.(\d+)\.')
        return *places.shape[-2:], blocks + 2 * count(state, r'out_blocks\.(\d+)\.')
