"""WeTok's files: Open-MAGVIT2's layout with grouped codes, and any number of sub-tokens
(docs/reference/specification.md, WeTok).
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
    """Tokenizers as Open-MAGVIT2's, by whose converter they go; transformers whose embeddings are
    counted: ``0_emb``, ``1_emb``, …
    """

    files = ()
    configs = ('tiny/ar_grouped_32_official',)

    def detects(self, state: dict[str, Tensor]) -> bool:
        """A transformer's embeddings tell the two apart."""
        return 'transformer.0_emb.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        """See :class:`Converter`."""
        if not is_generator(model):
            return super().rules(model)
        counted = Rename('head.embeddings.{i}.', 'transformer.{i}_emb.')
        return [counted, *TRANSFORMER, *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Two sub-tokens have names of their own."""
        two = is_generator(model) and len(model.head.vocab_sizes) == 2
        return 'head of 2 sub-tokens' if two else None
