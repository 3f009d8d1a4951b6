"""RAR's transformers.

See docs/reference/specification.md, RAR.
"""

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import Convert, Rename, Rule, squeeze
from openmagvit2.registry import CONVERTERS

OURS, OFFICIAL = 'backbone.blocks.{i}.', 'blocks.{i}.'
BLOCK = (
    ('norm1.', 'norm1.'),
    ('norm2.', 'norm2.'),
    ('attention.', 'attn.'),
    ('fc1.', 'mlp.fc1.'),
    ('fc2.', 'mlp.fc2.'),
    ('modulation.', 'adaLN_modulation.1.'),
)
TABLES = (
    ('position_embedding', 'pos_embed'),
    ('target_embedding', 'target_aware_pos_embed'),
    ('step_embedding', 'timesteps_embeddings'),
)


def shared_table(official: str, codes: int) -> Rule:
    """Return the rule for one table of codes, the mask, classes and the null class.

    Args:
        official: Name of the table.
        codes: Number of codes; our table of tokens has these and the mask.
    """
    return Convert(
        ['head.embeddings.0.weight', 'class_embedding.weight'],
        [official],
        lambda x: [x[0][: codes + 1].clone(), x[0][codes + 1 :].clone()],
        lambda x: [torch.cat(x)],
    )


@CONVERTERS.register_module()
class Rar(Converter):
    """Transformers over tokens in any order; their tokenizer has a file of its own."""

    stage = 'generator'
    configs = ('tiny/rar_32',)
    marks = ('target_aware_pos_embed', 'timesteps_embeddings', 'adaln_before_head.')
    bare = True

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'target_aware_pos_embed' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        return [
            squeeze('backbone.start', 'cls_token', (0, 1)),
            *(squeeze(f'backbone.{a}.weight', b, (0,)) for a, b in TABLES),
            shared_table('embeddings.weight', model.head.vocab_sizes[0]),
            *(Rename(OURS + a, OFFICIAL + b) for a, b in BLOCK),
            Rename('backbone.modulation.', 'adaln_before_head.adaLN_modulation.1.'),
            Rename('head.classifiers.0.', 'lm_head.'),
        ]
