"""IBQ's files, written by Lightning: tokenizers, and transformers that contain theirs.

See docs/reference/specification.md, Index backpropagation.
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import OfficialFile, count
from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Rename, Rule, Under, squeeze
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

# taming-transformers' networks, which many systems have. A middle without attention has two blocks.
CNN = (
    *(
        Rename(f'{part}.mid_block.{i}.', f'{part}.mid.block_{i + 1}.')
        for part in ('encoder', 'decoder')
        for i in range(2)
    ),
    Rename('encoder.down.{i}.downsample.', 'encoder.down.{i}.downsample.conv.'),
    Rename('encoder.'),
    Rename('decoder.'),
)
PROJECTIONS = (
    squeeze('quantizer.project_in.weight', 'quant_conv.weight'),
    Rename('quantizer.project_in.bias', 'quant_conv.bias'),
    squeeze('quantizer.project_out.weight', 'post_quant_conv.weight'),
    Rename('quantizer.project_out.bias', 'post_quant_conv.bias'),
)
TABLE = (Rename('quantizer.embedding.weight', 'quantize.embedding.weight'), *PROJECTIONS)
NETWORKS = (*CNN, *TABLE)
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
TOKENIZERS = (
    ('imagenet256_1024', 'IBQ-Tokenizer-1024', 'ibq_256_1024', 1024),
    ('imagenet256_8192', 'IBQ-Tokenizer-8192', 'ibq_256_8192', 8192),
    ('imagenet256_16384', 'IBQ-Tokenizer-16384', 'ibq_256', 16384),
    ('imagenet256_262144', 'IBQ-Tokenizer-262144', 'ibq_256_262144', 262144),
    ('IBQ_pretrain_16384', 'IBQ-Tokenizer-16384-Pretrain', 'ibq_256_16384_pretrain', 16384),
    ('IBQ_pretrain_262144', 'IBQ-Tokenizer-262144-Pretrain', 'ibq_256_262144_pretrain', 262144),
)
GENERATORS = (('B', 1024), ('L', 1280), ('XL', 1536), ('XXL', 1920))


@CONVERTERS.register_module()
class Ibq(OpenMagvit2):
    """Tokenizers with a table and 1x1 convolutions around it, and transformers over its rows with
    modulated norms.
    """

    files = tuple(
        OfficialFile(
            f'{name}.ckpt',
            f'TencentARC/{repository}',
            f'configs/ibq/{config}.py',
            # VQGAN's have two blocks a level.
            ('tokenizer', size, 4),
        )
        for name, repository, config, size in TOKENIZERS
    ) + tuple(
        OfficialFile(
            f'AR_256_{size}.ckpt',
            f'TencentARC/IBQ-AR-{size}',
            f'configs/ibq/ar_{size.lower()}_256.py',
            ('generator', dim),
        )
        for size, dim in GENERATORS
    )
    configs = ('tiny/ibq_32', 'tiny/ar_ibq_32')
    weights = (*OpenMagvit2.weights, 'first_stage_model.')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether there are 1x1 convolutions around a table, or modulated norms."""
        return any(name.startswith(('quant_conv.', 'transformer.head_nm.')) for name in state)

    def rules(self, model: nn.Module) -> list[Rule]:
        tokenizer = (*NETWORKS, Rename('discriminator.', 'loss.discriminator.'))
        return [*(TRANSFORMER if is_generator(model) else tokenizer), *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer of another kind: other systems have the same names."""
        quantizer = (model.tokenizer if is_generator(model) else model).quantizer
        kinds = [cls.__name__ for cls in type(quantizer).__mro__]
        return None if 'IBQ' in kinds else f'quantizer {kinds[0]}'

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return ('tokenizer', codes, blocks of a level) or ('generator', width)."""
        classes = state.get('transformer.class_emb.embedding_table.weight')
        if classes is not None:
            return 'generator', classes.shape[1]
        table = state.get('quantize.embedding.weight')
        if table is None:
            return None
        return 'tokenizer', table.shape[0], count(state, r'encoder\.down\.0\.block\.(\d+)\.')
