"""Strict loading of weights into a model: no tensor is missing, unexpected or misshaped."""

import logging
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.checkpoint.converters import is_official
from openmagvit2.checkpoint.faults import unfit
from openmagvit2.checkpoint.names import fitted
from openmagvit2.checkpoint.reading import read_checkpoint
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError, faults
from openmagvit2.io import usable
from openmagvit2.protocols import LoadsWeights

# Prefixes of tensors that only training needs.
TRAINING_ONLY = ('discriminator.', 'lecam.', 'recipe.')
# Prefix of the frozen tokenizer whose codes a first stage predicts (TiTok).
CODES = 'pixels.tokenizer.'


def choose_weights(checkpoint: dict, ema: bool = True) -> dict[str, Tensor]:
    """Return the state dict; if ``ema``, averages replace the raw weights that have one."""
    return checkpoint['state_dict'] | (checkpoint.get('ema_state_dict') or {} if ema else {})


def check_weights(
    model: nn.Module, state: dict[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Raise UserError if tensors are missing, unexpected or misshaped, or the file is an official
    one.

    Args:
        model: The model to load the weights into.
        state: Weights by name.
        source: Name of the weights, for errors.
        optional: Prefixes of tensors that may be missing from the model or from ``state``.
    """
    if is_official(state):
        raise UserError(
            f'{source} is an official one: convert it first with '
            f'python tools/convert_checkpoint.py FILE OUT.pth --config CONFIG.'
        )
    own = model.state_dict()
    missing = required([k for k in own if k not in state], optional)
    unexpected = required([k for k in state if k not in own], optional)
    wrong = {name: unfit(state[name], own[name]) for name in own if name in state}
    named = [f'{name} {text}' for name, text in wrong.items() if text]
    found = faults(dict(missing=missing, unexpected=unexpected, unfit=named))
    if found:
        raise UserError(
            f'{source} does not fit this config: {found}. Use the config it was trained with.'
        )


def required(names: Iterable[str], optional: tuple[str, ...]) -> list[str]:
    """Return the names that both the model and its weights must have.

    With ``optional`` prefixes, no training is resumed: the counts of the steps for which codes were
    unused may be missing, as in official files, and start at zero.
    """
    if optional:
        names = [n for n in names if not n.endswith('.steps_unused')]
    return [name for name in names if not name.startswith(optional)]


def load_weights(
    model: nn.Module, state: dict[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Load weights after :func:`check_weights`; if that raises, the model is unchanged."""
    check_weights(model, state, source, optional)
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


def load_model_weights(model: nn.Module, path: str | Path, ema: bool = True) -> dict:
    """Load a checkpoint into a tokenizer or generator.

    Args:
        model: The model.
        path: The checkpoint; it may have no discriminator.
        ema: Whether to prefer averaged weights to raw ones.

    Returns:
        The checkpoint.
    """
    checkpoint = fitted(read_checkpoint(path), model, f'Checkpoint {path}')
    load_whole(model, choose_weights(checkpoint, ema), f'Checkpoint {path}')
    return checkpoint


def load_whole(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load the weights of a tokenizer or generator.

    If they contain no tokenizer, it is loaded from the file that the config names.

    Args:
        model: The model.
        state: Weights by name; those of a discriminator may be missing.
        source: Name of the weights, for errors.
    """
    optional = TRAINING_ONLY
    if is_generator(model) and not any(name.startswith('tokenizer.') for name in state):
        # The file of a transformer alone was converted.
        optional = (*optional, 'tokenizer.')
        model.init_weights()
        if not model.tokenizer_checkpoint:
            print_log(
                f'{source} has no tokenizer and the config names none: it keeps random weights.',
                'current',
                logging.WARNING,
            )
    optional += _load_codes(model, state)
    load_weights(model, state, source, optional)


def _load_codes(model: nn.Module, state: dict[str, Tensor]) -> tuple[str, ...]:
    """Load the tokenizer whose codes a first stage predicts, if ``state`` does not contain it.

    Converted files do not. Return the prefix of what was loaded.
    """
    pixels = dict(model.named_children()).get('pixels')
    if not isinstance(pixels, LoadsWeights) or any(name.startswith(CODES) for name in state):
        return ()
    pixels.load_weights()
    return (CODES,)


def load_start(model: nn.Module, checkpoint: str, rename: dict[str, str] | None = None) -> None:
    """Load the weights from which training starts out of the checkpoint of another model.

    Args:
        model: The model; all of its tensors but those of a discriminator must be in the file.
        checkpoint: The file, which may have more tensors; averages are preferred to raw weights.
        rename: Prefixes of names in the file, mapped to the model's.

    Raises:
        UserError: The file does not exist, or a tensor is missing.
    """
    if not usable(checkpoint).exists():
        raise UserError(
            f'model.training.start.checkpoint: {checkpoint} does not exist; train the first stage, '
            f'name another file, or set model.training.start=None to start from random weights.'
        )
    renamed, pairs = {}, (rename or {}).items()
    for name, value in choose_weights(read_checkpoint(checkpoint)).items():
        own = next((b + name[len(a) :] for a, b in pairs if name.startswith(a)), name)
        renamed[own] = value
    known = model.state_dict()
    state = {name: value for name, value in renamed.items() if name in known}
    load_weights(model, state, f'model.training.start.checkpoint={checkpoint}', TRAINING_ONLY)
    print_log(f'The training starts from {len(state)} tensors of {checkpoint}.', 'current')


def load_tokenizer_weights(tokenizer: nn.Module, path: str | Path) -> None:
    """Load a generator's frozen tokenizer from a tokenizer's checkpoint.

    Raises:
        UserError: The file does not exist or does not fit, or weights are not finite, which the
            training itself would not show.
    """
    if not usable(path).exists():
        raise UserError(
            f'{path} does not exist; train that tokenizer or convert its official file, and name '
            f'the result here, or set this to None for a tokenizer with random weights.'
        )
    load_model_weights(tokenizer, path)
    for name, value in tokenizer.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(
                f'Checkpoint {path}: {name} has NaN or infinite numbers; use another checkpoint.'
            )
