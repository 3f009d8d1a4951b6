"""VQGAN's tokenizers and transformers, and the first stages of latent diffusion (Lightning).

See docs/reference/specification.md, VQGAN.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import count
from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Derived, Rename, Rule, Under, squeeze
from openmagvit2.checkpoint.converters.taming import CONVOLUTION, NETWORKS, gpt_block, table_misfit
from openmagvit2.checkpoint.stages import is_generator, tokenizer_of
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS

TRANSFORMER = (
    Rename('head.embeddings.0.', 'transformer.tok_emb.'),
    squeeze('backbone.position_embedding.weight', 'transformer.pos_emb', (0,)),
    *gpt_block('backbone.blocks.{i}.', 'transformer.blocks.{i}.'),
    Rename('head.norm.', 'transformer.ln_f.'),
    Rename('head.classifiers.0.', 'transformer.head.'),
    Under('tokenizer.', 'first_stage_model.', NETWORKS),
)


@CONVERTERS.register_module()
class Vqgan(OpenMagvit2):
    """Tokenizers with a table between 1x1 convolutions, and GPT over its rows.

    The file of a transformer contains its tokenizer.
    """

    configs = ('tiny/vqgan_32', 'tiny/sd_vq_32', 'tiny/ar_vqgan_32')
    weights = (*OpenMagvit2.weights, 'first_stage_model.')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether there are 1x1 convolutions around a table, or minGPT's own names.

        Raises:
            UserError: The file is a diffusion model, whose first stage has no table.
        """
        if any(name.startswith('model.diffusion_model.') for name in state):
            raise UserError(
                'The file is a latent diffusion model (model.diffusion_model.*): its first stage '
                'lacks quantize.embedding.weight. Give the file of the first stage, such as '
                'vq-f8.zip.'
            )
        names = (*CONVOLUTION, 'transformer.pos_emb', 'transformer.ln_f.')
        return any(name.startswith(names) for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        if not is_generator(model):
            discriminator = Rename('discriminator.', self.discriminator)
            return [*NETWORKS, discriminator, *DROPPED]
        return [*TRANSFORMER, *_masks(model), *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a part of another kind, because other systems have the same names."""
        return table_misfit(tokenizer_of(model), unit=False)


def _masks(model: Any) -> list[Rule]:
    """Return the rule for minGPT's causal masks, one in each block."""
    state = model.backbone.state_dict()
    table = state.get('position_embedding.weight')
    if table is None:
        return []
    size, blocks = table.shape[0], count(state, r'blocks\.(\d+)\.')
    mask = torch.ones(size, size).tril()[None, None]
    names = [f'transformer.blocks.{i}.attn.mask' for i in range(blocks)]
    return [Derived(dict.fromkeys(names, mask), 'causal mask')]
