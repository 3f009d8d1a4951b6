"""Open-MAGVIT2's tokenizers and transformers, files of Lightning.

See docs/reference/specification.md, Checkpoint files.
"""

import torch
from torch import nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import Lost, Rename, Rule, Under
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

NETWORKS = (Rename('encoder.'), Rename('decoder.'))
TOKENIZER = (*NETWORKS, Rename('discriminator.', 'loss.discriminator.'))
TRANSFORMER = (
    Rename('backbone.blocks.', 'transformer.spatial_blocks.'),
    Rename('head.blocks.', 'transformer.factorized_blocks.'),
    Rename('head.norm.', 'transformer.norm.'),
    Rename('head.classifiers.', 'transformer.head.'),
    Rename('class_embedding.', 'transformer.class_emb.embedding_table.'),
    Under('tokenizer.', 'first_stage_model.', NETWORKS),
)
# Names for two sub-tokens; WeTok numbers any other number.
TWO = (
    Rename('head.embeddings.0.', 'transformer.pre_emb.'),
    Rename('head.embeddings.1.', 'transformer.post_emb.'),
)
# LitEma writes these beside the averages; -1 means "no warm-up".
SCALARS = {
    'model_ema.decay': torch.tensor(0.999, device='cpu'),
    'model_ema.num_updates': torch.tensor(-1, dtype=torch.int32, device='cpu'),
}
DROPPED = (
    Lost('loss.perceptual_loss.', 'perceptual network: training reads it from a file of its own'),
    Lost(SCALARS, 'decay and count: set by the config', label='model_ema (scalars)'),
    Lost(lambda name: '.kv_cache.' in name, 'left by a sampling run', label='kv_cache'),
)


@CONVERTERS.register_module()
class OpenMagvit2(Converter):
    """Tokenizers with LFQ, and transformers over two sub-tokens.

    The file of a transformer contains its tokenizer.
    """

    configs = ('tiny/lfq_32_official', 'tiny/ar_32_official')
    marks = ('loss.', 'model_ema.', 'transformer.', 'first_stage_model.')
    averages = 'model_ema.'
    # LFQ has no codebook and no projections: these belong to other systems.
    weights = (
        'encoder.',
        'decoder.',
        'loss.discriminator.',
        'model_ema.',
        'transformer.',
        'first_stage_model.encoder.',
        'first_stage_model.decoder.',
        'quantize.',
        'quant_conv.',
        'post_quant_conv.',
    )
    discriminator = 'loss.discriminator.'

    def rules(self, model: nn.Module) -> list[Rule]:
        return [*(TWO + TRANSFORMER if is_generator(model) else TOKENIZER), *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a head without two sub-tokens, several codebooks, or a bias of a convolution."""
        if is_generator(model):
            number = len(model.head.vocab_sizes)
            return f'head of {number} sub-tokens' if number != 2 else None
        sizes = model.quantizer.codebook_sizes
        return f'quantizer of {len(sizes)} codebooks' if len(sizes) > 1 else self.biases(model)

    @staticmethod
    def biases(model: nn.Module) -> str | None:
        """Return the bias of the first convolution; official networks have none."""
        name = 'encoder.conv_in.bias'
        return name if name in model.state_dict() else None

    def average(self, official: str) -> str:
        """See :meth:`Converter.average`; LitEma removes the dots."""
        return self.averages + official.replace('.', '')
