"""WeTok's tokenizers and transformers: Open-MAGVIT2's with grouped codes and more sub-tokens.

See docs/reference/specification.md, WeTok.
"""

import re

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, TRANSFORMER, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Rename, Rule
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS


@CONVERTERS.register_module()
class WeTok(OpenMagvit2):
    """Tokenizers with several codebooks, and transformers with embeddings ``0_emb``, ``1_emb`` …"""

    configs = ('tiny/lfq_grouped_32', 'tiny/ar_grouped_32_official')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether the file may be a tokenizer, or has numbered embeddings."""
        if any(name.startswith('transformer.') for name in state):
            return any(re.match(r'transformer\.\d+_emb\.', name) for name in state)
        return super().detects(state)

    def rules(self, model: nn.Module) -> list[Rule]:
        if not is_generator(model):
            return super().rules(model)
        counted = Rename('head.embeddings.{i}.', 'transformer.{i}_emb.')
        return [counted, *TRANSFORMER, *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a head with two sub-tokens, as in Open-MAGVIT2, or a bias of a convolution."""
        if is_generator(model):
            return 'head of 2 sub-tokens' if len(model.head.vocab_sizes) == 2 else None
        return self.biases(model)
