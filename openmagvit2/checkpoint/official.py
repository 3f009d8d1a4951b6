"""Names of the official checkpoints (spec §7): files, groups of tensors, and the way between their
names and ours.
"""

import re

from torch import Tensor, nn

from openmagvit2.errors import UserError

# File, repository of TencentARC on Hugging Face, config here.
FILES = (
    ('imagenet_128_L.ckpt', 'Open-MAGVIT2-Tokenizer-128-resolution', 'configs/lfq_128.py'),
    ('imagenet_256_L.ckpt', 'Open-MAGVIT2-Tokenizer-256-resolution', 'configs/lfq_256.py'),
    (
        'pretrain256_16384.ckpt',
        'Open-MAGVIT2-Tokenizer-16384-Pretrain',
        'configs/lfq_256_16k_pretrain.py',
    ),
    (
        'pretrain256_262144.ckpt',
        'Open-MAGVIT2-Tokenizer-262144-Pretrain',
        'configs/lfq_256_262k_pretrain.py',
    ),
    ('imagenet_128_B.ckpt', 'Open-MAGVIT2 (v1)', 'configs/baselines/open_magvit2_v1/lfq_128.py'),
    ('imagenet_256_B.ckpt', 'Open-MAGVIT2 (v1)', 'configs/baselines/open_magvit2_v1/lfq_256.py'),
    ('AR_256_B.ckpt', 'Open-MAGVIT2-AR-B-256-resolution', 'configs/ar_b_256.py'),
    ('AR_256_L.ckpt', 'Open-MAGVIT2-AR-L-256-resolution', 'configs/ar_l_256.py'),
    ('AR_256_XL.ckpt', 'Open-MAGVIT2-AR-XL-256-resolution', 'configs/ar_xl_256.py'),
)
# What sets the networks apart: see layout().
LAYOUTS = {
    'imagenet_128_L.ckpt': ('tokenizer', 18, 4, 4, True),
    'imagenet_256_L.ckpt': ('tokenizer', 18, 5, 4, True),
    'pretrain256_16384.ckpt': ('tokenizer', 14, 5, 4, True),
    'pretrain256_262144.ckpt': ('tokenizer', 18, 5, 4, True),
    'imagenet_128_B.ckpt': ('tokenizer', 18, 4, 2, False),
    'imagenet_256_B.ckpt': ('tokenizer', 18, 5, 2, False),
    'AR_256_B.ckpt': ('generator', 1024, 24),
    'AR_256_L.ckpt': ('generator', 1280, 36),
    'AR_256_XL.ckpt': ('generator', 1536, 48),
}
# Prefixes that tensors have in one form only; an encoder and a decoder are called the same in both.
ONLY_OFFICIAL = ('loss.', 'model_ema.', 'transformer.', 'first_stage_model.')
ONLY_OURS = ('discriminator.', 'lecam.', 'backbone.', 'head.', 'class_embedding.', 'tokenizer.')
EMA = 'model_ema.'
# What LitEma writes beside the averages: the decay, and -1 for "no warm-up".
EMA_SCALARS = ('model_ema.decay', 'model_ema.num_updates')
TOKENIZER = {
    'encoder.': 'encoder.',
    'decoder.': 'decoder.',
    'discriminator.': 'loss.discriminator.',
}
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
    """Our name to the official one for every tensor of a model that the official layout has a place
    for.

    Raises:
        UserError: The model has weights without a place: another head than the next-sub-token one,
            a learned codebook.
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
        raise UserError(
            f'The official layout has no place for {homeless[0]} ({len(homeless)} such); the '
            f'config is of no official model.'
        )
    return names


def ema_names(model: nn.Module) -> dict[str, str]:
    """Our name of each parameter to the key of its average: the official name without dots, made
    forward as it cannot be parsed back.
    """
    parameters = {name for name, _ in model.named_parameters()}
    return {
        name: EMA + official.replace('.', '')
        for name, official in official_names(model).items()
        if name in parameters
    }


def is_official(state: dict[str, Tensor]) -> bool:
    """Whether tensors have names that only official files have."""
    return any(name.startswith(ONLY_OFFICIAL) for name in state)


def is_ours(checkpoint: dict) -> bool:
    """Whether a checkpoint has names that only ours have."""
    return 'ema_state_dict' in checkpoint or any(
        name.startswith(ONLY_OURS) for name in checkpoint['state_dict']
    )


def layout(state: dict[str, Tensor]) -> tuple | None:
    """('tokenizer', bits, levels, blocks, adaptive norm) or ('generator', width, layers) of an
    official state dict.
    """
    shapes = {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}
    if 'transformer.pre_emb.weight' in shapes:
        return (
            'generator',
            shapes['transformer.pre_emb.weight'][-1],
            _count(state, r'transformer\.spatial_blocks\.(\d+)\.'),
        )
    if 'encoder.conv_out.bias' in shapes:
        adaptive = any(name.startswith('decoder.adaptive.') for name in state)
        blocks = _count(state, r'encoder\.mid_block\.(\d+)\.')
        return (
            'tokenizer',
            shapes['encoder.conv_out.bias'].numel(),
            _count(state, r'encoder\.down\.(\d+)\.'),
            blocks,
            adaptive,
        )
    return None


def mend(state: dict[str, Tensor]) -> str:
    """A sentence on what to do with a file that does not fit: the config of the official file that
    it looks like, where it does.
    """
    found = [(file, config) for file, _, config in FILES if LAYOUTS[file] == layout(state)]
    if not found:
        return 'Give the config that belongs to it; --list shows those of the official files.'
    files, configs = (' or '.join(part) for part in zip(*found, strict=True))
    return (
        f'It looks like {files}: give {configs}, or fetch the file again if that is what you gave.'
    )


def _count(state: dict[str, Tensor], pattern: str) -> int:
    return 1 + max(
        (int(match[1]) for match in map(re.compile(pattern).match, state) if match), default=-1
    )


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two groups of tensors have the same names and values, in whatever dtype."""
    return a.keys() == b.keys() and all(a[name].double().equal(b[name].double()) for name in a)
