"""LlamaGen's transformers.

See docs/reference/specification.md, LlamaGen.
"""

from typing import Any

import torch

from openmagvit2.checkpoint.converters.base import Converter, other_class
from openmagvit2.checkpoint.converters.rules import Derived, Rename, Rule
from openmagvit2.checkpoint.converters.taming import table_misfit
from openmagvit2.models.layers.rope import rope_table
from openmagvit2.registry import CONVERTERS

RULES = (
    Rename('class_embedding.', 'cls_embedding.embedding_table.'),
    Rename('head.embeddings.0.', 'tok_embeddings.'),
    Rename('backbone.blocks.', 'layers.'),
    Rename('head.norm.', 'norm.'),
    Rename('head.classifiers.0.', 'output.'),
)


@CONVERTERS.register_module()
class LlamaGenAr(Converter):
    """Transformers over undivided indices; their tokenizer has a file of its own."""

    stage = 'generator'
    configs = ('tiny/ar_llamagen_32',)
    marks = ('cls_embedding.', 'tok_embeddings.', 'layers.')
    # The files of XXL and 3B are bare state dicts; the official loader accepts both.
    entries = {'model': ''}

    def rules(self, model: Any) -> list[Rule]:
        return [*RULES, _angles(model.backbone)]

    def misfit(self, model: Any) -> str | None:
        """Return a part of another kind, because other systems have the same names."""
        backbone = other_class('backbone', model.backbone, 'Llama', exact=True)
        return backbone or table_misfit(model.tokenizer, unit=True)


def _angles(backbone: Any) -> Rule:
    """Return the rule for the rotary angles, which older files contain."""
    with torch.device('cpu'):
        table = rope_table(backbone.grid, backbone.dim // backbone.num_heads)
    # Rounding to half precision changes the angles by less.
    return Derived(
        {'freqs_cis': table},
        'table of rotary angles',
        written=False,
        tolerance=1e-2,
        otherwise='is for images of another size',
    )
