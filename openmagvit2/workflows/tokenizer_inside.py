"""Comparison of the tokenizer in a generator's file with a separate file of the tokenizer."""

from pathlib import Path

from torch import Tensor, nn

from openmagvit2.checkpoint import read_checkpoint, to_ours
from openmagvit2.checkpoint.converters import is_official
from openmagvit2.errors import about


def compare_or_add(
    generator: dict[str, Tensor], path: str | Path, tokenizer: nn.Module, add: bool
) -> str:
    """Compare the tokenizer in a generator with that of a file, or add it if there is none.

    Args:
        generator: Weights by our names, to which the tokenizer may be added.
        path: The tokenizer's file, official or ours.
        tokenizer: The generator's tokenizer, as built from the config.
        add: Whether to add a missing tokenizer.

    Returns:
        A sentence about what was found or done.

    Raises:
        UserError: The file cannot be read, or does not fit the config.
    """
    parts = _tokenizer_file(path, tokenizer)
    weights = encoder_and_decoder(generator, 'tokenizer.')
    if weights:
        return compare_tokenizers(weights, *map(encoder_and_decoder, parts))
    if not add:
        return f'The file contains no tokenizer to compare with {path}.'
    own = tokenizer.state_dict()
    generator |= {f'tokenizer.{name}': x for name, x in parts[0].items() if name in own}
    return f'The file contains no tokenizer: the raw weights of {path} are added.'


def _tokenizer_file(path: str | Path, tokenizer: nn.Module) -> list[dict[str, Tensor]]:
    """Return raw and averaged weights of a tokenizer's file by our names."""
    file = read_checkpoint(path)
    if is_official(file['state_dict']):
        with about(f'--tokenizer {path}'):
            file = to_ours(file['state_dict'], tokenizer)[0]
    return [file.get(key) or {} for key in ('state_dict', 'ema_state_dict')]


def compare_tokenizers(
    inside: dict[str, Tensor], raw: dict[str, Tensor], averaged: dict[str, Tensor]
) -> str:
    """Return a sentence about which weights of a tokenizer a generator contains.

    All arguments are encoder and decoder by our names.
    """
    pairs = (('raw', raw), ('averaged', averaged))
    kinds = [kind for kind, weights in pairs if _same(inside, weights)]
    which = f'the {" and the ".join(kinds)}' if kinds else 'neither the raw nor the averaged'
    return f'The tokenizer inside equals {which} weights of the tokenizer file.'


def encoder_and_decoder(weights: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
    """Return the weights of encoder and decoder, without ``prefix``."""
    parts = (f'{prefix}encoder.', f'{prefix}decoder.')
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(parts)
    }


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Return whether two dicts of tensors have the same names and values, in any dtype."""
    return a.keys() == b.keys() and all(a[name].double().equal(b[name].double()) for name in a)
