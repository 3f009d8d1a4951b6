"""WeTok's files: Open-MAGVIT2's layout with grouped codes and any number of sub-tokens.

See docs/reference/specification.md, WeTok.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.open_magvit2 import (
    DROPPED,
    TRANSFORMER,
    OpenMagvit2,
)
from openmagvit2.checkpoint.converters.rules import Rename, Rule
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS


@CONVERTERS.register_module()
class WeTok(OpenMagvit2):
    """Transformers whose embeddings are numbered: ``0_emb``, ``1_emb``, …

    Tokenizers have the layout of Open-MAGVIT2, whose converter handles them.
    """

    files = ()
    configs = ('tiny/ar_grouped_32_official',)

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether the embeddings of a transformer are numbered."""
        return 'transformer.0_emb.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        """See :class:`Converter`."""
        if not is_generator(model):
            return super().rules(model)
        counted = Rename('head.embeddings.{i}.', 'transformer.{i}_emb.')
        return [counted, *TRANSFORMER, *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a head of two sub-tokens: those have names of their own."""
        two = is_generator(model) and len(model.head.vocab_sizes) == 2
        return 'head of 2 sub-tokens' if two else None
