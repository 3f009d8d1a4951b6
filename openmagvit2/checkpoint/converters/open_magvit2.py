"""Open-MAGVIT2's files, written by Lightning.

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
# Two sub-tokens have names of their own; any other number is counted (WeTok's).
TWO = (
    Rename('head.embeddings.0.', 'transformer.pre_emb.'),
    Rename('head.embeddings.1.', 'transformer.post_emb.'),
)
# What LitEma writes beside the averages; -1 is "no warm-up".
SCALARS = {
    'model_ema.decay': torch.tensor(0.999, device='cpu'),
    'model_ema.num_updates': torch.tensor(-1, dtype=torch.int32, device='cpu'),
}
DROPPED = (
    Lost(
        'loss.perceptual_loss.', 'perceptual network: its own file is read when a training starts'
    ),
    Lost(SCALARS, 'decay and count: settings of the config', label='model_ema (scalars)'),
    Lost(lambda name: '.kv_cache.' in name, 'left by a sampling run', label='kv_cache'),
)


@CONVERTERS.register_module()
class OpenMagvit2(Converter):
    """Tokenizers with LFQ, and transformers over two sub-tokens that contain their tokenizer."""

    configs = ('tiny/lfq_32_official', 'tiny/ar_32_official')
    marks = ('loss.', 'model_ema.', 'transformer.', 'first_stage_model.')
    averages = 'model_ema.'
    # Codebooks and their projections are of other systems, as LFQ has none.
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
        """Return a head with another number of sub-tokens than two, or what is of no tokenizer of
        theirs: several codebooks, convolutions with biases.
        """
        if is_generator(model):
            number = len(model.head.vocab_sizes)
            return f'head of {number} sub-tokens' if number != 2 else None
        sizes = model.quantizer.codebook_sizes
        return f'quantizer of {len(sizes)} codebooks' if len(sizes) > 1 else self.biases(model)

    @staticmethod
    def biases(model: nn.Module) -> str | None:
        """Return a bias of a convolution that has none in the official networks."""
        name = 'encoder.conv_in.bias'
        return name if name in model.state_dict() else None

    def average(self, official: str) -> str:
        """Return the official name without dots; that cannot be reversed."""
        return self.averages + official.replace('.', '')
