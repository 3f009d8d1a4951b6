"""WeTok's files: Open-MAGVIT2's layout with grouped codes and any number of sub-tokens.

See docs/reference/specification.md, WeTok.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import OfficialFile, count
from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, TRANSFORMER, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Rename, Rule
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

# File, config, and the result of layout(): kind, then bits, levels and blocks of a tokenizer,
# whether it has adaptive norms and whether its decoder reads noise.
FILES = tuple(
    OfficialFile(
        f'{folder}/WeTok.ckpt',
        'GrayShine/WeTok',
        f'configs/wetok/{config}.py',
        ('tokenizer', bits, levels, 4, True, noise),
    )
    for folder, config, bits, levels, noise in (
        ('ImageNet/downsample16', 'wetok_f16_256', 32, 5, False),
        ('ImageNet/downsample8', 'wetok_f8_256', 32, 4, False),
        ('GeneralDomain/compratio24', 'wetok_24_256_general', 64, 4, False),
        ('GeneralDomain/compratio48', 'wetok_48_256_general', 32, 4, False),
        ('GeneralDomain/compratio192', 'wetok_192_256_general', 32, 5, False),
        ('GeneralDomain/compratio768', 'wetok_768_256_general', 32, 6, True),
    )
)


@CONVERTERS.register_module()
class WeTok(OpenMagvit2):
    """Tokenizers with several codebooks, and transformers whose embeddings are numbered:
    ``0_emb``, ``1_emb``, …
    """

    files = FILES
    configs = ('tiny/lfq_grouped_32', 'tiny/ar_grouped_32_official')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether the file may be a tokenizer, or its embeddings are numbered."""
        if any(name.startswith('transformer.') for name in state):
            return 'transformer.0_emb.weight' in state
        return super().detects(state)

    def rules(self, model: nn.Module) -> list[Rule]:
        if not is_generator(model):
            return super().rules(model)
        counted = Rename('head.embeddings.{i}.', 'transformer.{i}_emb.')
        return [counted, *TRANSFORMER, *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a head of two sub-tokens, which have names of their own, or convolutions with
        biases.
        """
        if is_generator(model):
            return 'head of 2 sub-tokens' if len(model.head.vocab_sizes) == 2 else None
        return self.biases(model)

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return ('tokenizer', bits, levels, blocks, adaptive, noise) or ('generator', width,
        layers).
        """
        if 'transformer.0_emb.weight' in state:
            width = state['transformer.0_emb.weight'].shape[-1]
            return 'generator', width, count(state, r'transformer\.spatial_blocks\.(\d+)\.')
        found = super().layout(state)
        entry = getattr(state.get('decoder.conv_in.weight'), 'shape', None)
        if found is None or entry is None:
            return found
        return (*found, entry[1] == 2 * found[1])
