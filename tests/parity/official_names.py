"""Official names of other systems' networks, as pairs of prefixes (ours, official).

The longest prefix that fits a name counts; a name that none fits is the same on both sides.
"""

from types import SimpleNamespace

from appendix import fill
from torch import nn

Pairs = list[tuple[str, str]]


def taming(levels: int) -> Pairs:
    """Names of taming's encoders, and of those that copied them; decoders have ours."""
    return [(f'down.{i}.downsample.', f'down.{i}.downsample.conv.') for i in range(levels)]


def maskgit(levels: int) -> Pairs:
    """Names of the torch port of MaskGIT's tokenizer."""
    upsample = [(f'up.{i}.upsample.conv.', f'up.{i}.upsample_conv.') for i in range(levels)]
    return [('mid_block.', 'mid.'), *upsample]


def titok(layers: int, pixels: bool) -> tuple[Pairs, Pairs]:
    """Names of TiTok's encoder and decoder; ``pixels`` for single-stage models."""
    vit = [('vit.', ''), ('vit.blocks.', 'transformer.')]
    names = [
        ('norm1.', 'ln_1.'),
        ('attn.qkv.', 'attn.in_proj_'),
        ('attn.proj.', 'attn.out_proj.'),
        ('norm2.', 'ln_2.'),
        ('mlp.fc1.', 'mlp.c_fc.'),
        ('mlp.fc2.', 'mlp.c_proj.'),
    ]
    for i in range(layers):
        vit += [(f'vit.blocks.{i}.{a}', f'transformer.{i}.{b}') for a, b in names]
    same = [(name, name) for name in ('latent_tokens', 'patch_embed.', 'mask_token')]
    encoder = [*vit, *same, ('out.', 'conv_out.')]
    decoder = [*vit, *same, ('embed.', 'decoder_embed.'), ('head.conv_out.', 'conv_out.')]
    decoder += (
        [('head.ffn.', 'ffn.0.')] if pixels else [(f'head.ffn.{i}.', f'ffn.{i}.') for i in (0, 2)]
    )
    return encoder, decoder


def ours(name: str, pairs: Pairs) -> str:
    """Our name of an official one."""
    fits = [(a, b) for a, b in pairs if name.startswith(b)]
    a, b = max(fits, key=lambda pair: len(pair[1]), default=('', ''))
    return a + name[len(b) :]


def official(name: str, pairs: Pairs) -> str:
    """The official name of one of ours."""
    return ours(name, [(b, a) for a, b in pairs])


def fill_official(*parts: tuple[str, nn.Module, Pairs], leave: tuple[str, ...] = ()) -> int:
    """Fill parts (official prefix, module, names) of one model by the rule under its official
    names; the number of parameters.

    Args:
        parts: They are filled together: the rule counts all names in order.
        leave: Beginnings of our names that are left alone.
    """
    items = [
        (prefix + official(name, pairs), parameter)
        for prefix, module, pairs in parts
        for name, parameter in module.named_parameters()
        if not name.startswith(leave)
    ]
    fill(SimpleNamespace(named_parameters=lambda: items))
    return sum(parameter.numel() for _, parameter in items)
