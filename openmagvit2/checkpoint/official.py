"""Names of the official checkpoints (spec §7): files, groups of tensors, and the way between their names and ours."""

from torch import Tensor, nn

# File, repository of TencentARC on Hugging Face, config here.
FILES = (
    ('imagenet_128_L.ckpt', 'Open-MAGVIT2-Tokenizer-128-resolution', 'configs/lfq_128.py'),
    ('imagenet_256_L.ckpt', 'Open-MAGVIT2-Tokenizer-256-resolution', 'configs/lfq_256.py'),
    ('pretrain256_16384.ckpt', 'Open-MAGVIT2-Tokenizer-16384-Pretrain', 'configs/lfq_256_16k_pretrain.py'),
    ('pretrain256_262144.ckpt', 'Open-MAGVIT2-Tokenizer-262144-Pretrain', 'configs/lfq_256_262k_pretrain.py'),
    ('imagenet_128_B.ckpt', 'Open-MAGVIT2 (v1)', 'configs/baselines/open_magvit2_v1/lfq_128.py'),
    ('imagenet_256_B.ckpt', 'Open-MAGVIT2 (v1)', 'configs/baselines/open_magvit2_v1/lfq_256.py'),
    ('AR_256_B.ckpt', 'Open-MAGVIT2-AR-B-256-resolution', 'configs/ar_b_256.py'),
    ('AR_256_L.ckpt', 'Open-MAGVIT2-AR-L-256-resolution', 'configs/ar_l_256.py'),
    ('AR_256_XL.ckpt', 'Open-MAGVIT2-AR-XL-256-resolution', 'configs/ar_xl_256.py'),
)
EMA = 'model_ema.'
# What LitEma writes beside the averages: the decay, and -1 for "no warm-up".
EMA_SCALARS = ('model_ema.decay', 'model_ema.num_updates')
TOKENIZER = {'encoder.': 'encoder.', 'decoder.': 'decoder.', 'discriminator.': 'loss.discriminator.'}
GENERATOR = {
    'backbone.blocks.': 'transformer.spatial_blocks.',
    'head.blocks.': 'transformer.factorized_blocks.',
    'head.norm.': 'transformer.norm.',
    'head.classifiers.': 'transformer.head.',
    'head.embeddings.0.': 'transformer.pre_emb.',
    'head.embeddings.1.': 'transformer.post_emb.',
    'class_embedding.': 'transformer.class_emb.embedding_table.',
    'tokenizer.encoder.': 'first_stage_model.encoder.',
    'tokenizer.decoder.': 'first_stage_model.decoder.',
}
# Groups that a converted file leaves out, and why.
DROPPED = {
    'loss.perceptual_loss.': 'perceptual network: its own file is read when a training starts',
    'lecam.': 'averages of LeCAM: official files keep none',
}


def is_generator(model: nn.Module) -> bool:
    """Whether a model has a tokenizer inside."""
    return hasattr(model, 'tokenizer')


def official_names(model: nn.Module) -> dict[str, str]:
    """Our name to the official one for every tensor of a model that the official layout has a place for.

    Raises:
        ValueError: The model has weights without a place: another head than the next-sub-token one, a learned codebook.
    """
    table = GENERATOR if is_generator(model) else TOKENIZER
    names, homeless = {}, []
    for name in model.state_dict():
        prefix = next((prefix for prefix in table if name.startswith(prefix)), None)
        if prefix:
            names[name] = table[prefix] + name.removeprefix(prefix)
        elif not name.startswith(tuple(DROPPED)):
            homeless.append(name)
    if is_generator(model) and len(model.head.vocab_sizes) != 2:
        homeless.append(f'head of {len(model.head.vocab_sizes)} sub-tokens')
    if homeless:
        raise ValueError(f'The official layout has no place for {homeless[0]} ({len(homeless)} such); the config is of no official model.')
    return names


def ema_names(model: nn.Module) -> dict[str, str]:
    """Our name of each parameter to the key of its average: the official name without dots, made forward as it cannot be parsed back."""
    parameters = {name for name, _ in model.named_parameters()}
    return {name: EMA + official.replace('.', '') for name, official in official_names(model).items() if name in parameters}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two groups of tensors have the same names and bits."""
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)
