"""LlamaGen's transformers, whose tokenizer has a file of its own.

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
    """Llama over whole indices."""

    stage = 'generator'
    configs = ('tiny/ar_llamagen_32',)
    marks = ('cls_embedding.', 'tok_embeddings.', 'layers.')
    # XXL and 3B are bare state dicts, which the official loader takes either way.
    entries = {'model': ''}

    def rules(self, model: Any) -> list[Rule]:
        return [*RULES, _angles(model.backbone)]

    def misfit(self, model: Any) -> str | None:
        """Return a backbone or a quantizer of another kind: other systems have the same names."""
        backbone = other_class('backbone', model.backbone, 'Llama', exact=True)
        return backbone or table_misfit(model.tokenizer, unit=True)


def _angles(backbone: Any) -> Rule:
    """Return the rule of the rotary angles, which older files hold."""
    with torch.device('cpu'):
        table = rope_table(backbone.grid, backbone.dim // backbone.num_heads)
    # Angles in half precision differ by less.
    return Derived(
        {'freqs_cis': table},
        'table of rotary angles',
        written=False,
        tolerance=1e-2,
        otherwise='is for images of another size',
    )
