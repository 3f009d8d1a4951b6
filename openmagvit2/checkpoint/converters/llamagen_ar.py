"""LlamaGen's transformers, whose tokenizer has a file of its own.

See docs/reference/specification.md, LlamaGen.
"""

from typing import Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, count
from openmagvit2.checkpoint.converters.rules import NO_TOKENIZER, Derived, Rename, Rule
from openmagvit2.checkpoint.converters.vqgan import table_misfit
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError
from openmagvit2.models.layers.rope import rope_table
from openmagvit2.registry import CONVERTERS

# Size, side of its images, and the result of layout(), which is the same for both sides.
FILES = (
    ('B', 256, (12, 768)),
    ('L', 256, (24, 1024)),
    ('B', 384, (12, 768)),
    ('L', 384, (24, 1024)),
    ('XL', 384, (36, 1280)),
    ('XXL', 384, (48, 1536)),
    ('3B', 384, (24, 3200)),
)
RULES = (
    NO_TOKENIZER,
    Rename('class_embedding.', 'cls_embedding.embedding_table.'),
    Rename('head.embeddings.0.', 'tok_embeddings.'),
    Rename('backbone.blocks.', 'layers.'),
    Rename('head.norm.', 'norm.'),
    Rename('head.classifiers.0.', 'output.'),
)


class Angles(Derived):
    """The table of rotary angles, which older files hold."""

    def check(self, name: str, found: Tensor) -> None:
        """Raise UserError if a file has another grid or other angles."""
        if not self.holds(name, found):
            shape = tuple(self.tensors[name].shape)
            raise UserError(
                f'{name} is {tuple(found.shape)} and must be the {self.what} {shape} '
                f'of this config: the file is for images of another size.'
            )


@CONVERTERS.register_module()
class LlamaGenAr(Converter):
    """Llama over whole indices."""

    files = tuple(
        OfficialFile(
            f'c2i_{size}_{side}.pt',
            'FoundationVision/LlamaGen',
            f'configs/llamagen/ar_{size.lower()}_{side}.py',
            layout,
        )
        for size, side, layout in FILES
    )
    configs = ('tiny/ar_llamagen_32',)
    marks = ('cls_embedding.', 'tok_embeddings.', 'layers.')
    # XXL and 3B are bare state dicts, which the official loader takes either way.
    container = 'model'

    def rules(self, model: Any) -> list[Rule]:
        return [*RULES, *_angles(model)] if is_generator(model) else []

    def misfit(self, model: Any) -> str | None:
        """Return a backbone or a quantizer of another kind: other systems have the same names."""
        kind = type(model.backbone).__name__ if is_generator(model) else 'none'
        if kind != 'Llama':
            return f'backbone {kind}'
        return table_misfit(model.tokenizer, unit=True)

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return (layers, width)."""
        shape = getattr(state.get('tok_embeddings.weight'), 'shape', ())
        return (count(state, r'layers\.(\d+)\.'), shape[-1]) if shape else None


def _angles(model: Any) -> list[Rule]:
    """Return the rule of the rotary angles, which new files do not hold."""
    backbone = model.backbone
    if type(backbone).__name__ != 'Llama':
        return []
    with torch.device('cpu'):
        table = rope_table(backbone.grid, backbone.dim // backbone.num_heads)
    # Angles in half precision differ by less.
    tables = {'freqs_cis': table}
    return [Angles(tables, 'table of rotary angles', written=False, tolerance=1e-2)]
