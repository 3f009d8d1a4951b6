"""IBQ's tokenizers and transformers, files of Lightning.

See docs/reference/specification.md, Index backpropagation.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import other_class
from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Rename, Rule, Under
from openmagvit2.checkpoint.converters.taming import CONVOLUTION, NETWORKS
from openmagvit2.checkpoint.stages import is_generator, tokenizer_of
from openmagvit2.registry import CONVERTERS

BLOCK, OFFICIAL = 'backbone.blocks.{i}.', 'transformer.blocks.{i}.'
TRANSFORMER = (
    Rename(f'{BLOCK}modulation.', f'{OFFICIAL}ada_lin.1.'),
    Rename('backbone.blocks.', 'transformer.blocks.'),
    Rename('backbone.norm.', 'transformer.head_nm.rmsnorm.'),
    Rename('backbone.modulation.', 'transformer.head_nm.ada_lin.1.'),
    Rename('head.embeddings.0.', 'transformer.tok_emb.'),
    Rename('head.classifiers.0.', 'transformer.head.'),
    Rename('class_embedding.', 'transformer.class_emb.embedding_table.'),
    Under('tokenizer.', 'first_stage_model.', NETWORKS),
)


@CONVERTERS.register_module()
class Ibq(OpenMagvit2):
    """Tokenizers with a table between 1x1 convolutions, and transformers with modulated norms.

    The file of a transformer contains its tokenizer.
    """

    configs = ('tiny/ibq_32', 'tiny/ar_ibq_32')
    weights = (*OpenMagvit2.weights, 'first_stage_model.')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether there are 1x1 convolutions around a table, or modulated norms."""
        names = (*CONVOLUTION, 'transformer.head_nm.')
        return any(name.startswith(names) for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        tokenizer = (*NETWORKS, Rename('discriminator.', self.discriminator))
        return [*(TRANSFORMER if is_generator(model) else tokenizer), *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer of another class, because other systems have the same names."""
        return other_class('quantizer', tokenizer_of(model).quantizer, 'IBQ')
