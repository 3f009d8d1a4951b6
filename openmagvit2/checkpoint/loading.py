"""Weights of a checkpoint in a model, strictly: no tensor is missing, left over or misshaped."""

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

# Beginnings of the names of parts that only a training needs.
TRAINING_ONLY = ('discriminator.', 'lecam.', 'recipe.')
# The tokenizer that a first stage predicts the codes of.
CODES = 'pixels.tokenizer.'


def choose_weights(checkpoint: dict, ema: bool = True) -> dict[str, Tensor]:
    """Return the state dict, with averaged weights in place of raw ones if ``ema``."""
    return checkpoint['state_dict'] | (checkpoint.get('ema_state_dict') or {} if ema else {})


def check_weights(
    model: nn.Module, state: dict[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Check that every tensor of the model is in ``state`` in its shape, and nothing else is.

    Args:
        model: The model to load the weights into.
        state: Weights by name.
        source: Name of the weights for errors.
        optional: Prefixes of tensors that may be missing from the model or from ``state``.

    Raises:
        UserError: Tensors are missing, unexpected or misshaped, or the file is an official one.
    """
    if is_official(state):
        raise UserError(
            f'{source} is an official one: convert it first, python tools/convert_checkpoint.py '
            f'FILE OUT.pth --config CONFIG.'
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
    """Return the names that a model and its weights must both have.

    Where ``optional`` prefixes are given, a training does not go on: counts of codes' unused steps,
    which official files lack, begin at zero.
    """
    if optional:
        names = [n for n in names if not n.endswith('.steps_unused')]
    return [name for name in names if not name.startswith(optional)]


def load_weights(
    model: nn.Module, state: dict[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> None:
    """Load what :func:`check_weights` accepts; if it raises, the model is unchanged."""
    check_weights(model, state, source, optional)
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


def load_model_weights(model: nn.Module, path: str | Path, ema: bool = True) -> dict:
    """Load a checkpoint into a tokenizer or generator, averaged weights if there are any.

    The checkpoint may lack a discriminator.

    Returns:
        The checkpoint.
    """
    checkpoint = fitted(read_checkpoint(path), model, f'Checkpoint {path}')
    load_whole(model, choose_weights(checkpoint, ema), f'Checkpoint {path}')
    return checkpoint


def load_whole(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load the weights of a tokenizer or generator, and from the config's file a tokenizer that is
    not among them.

    Args:
        model: The model.
        state: Weights by name, without a discriminator where they have none.
        source: Name of the weights for errors.
    """
    optional = TRAINING_ONLY
    if is_generator(model) and not any(name.startswith('tokenizer.') for name in state):
        # A converted transformer without its tokenizer.
        optional = (*optional, 'tokenizer.')
        model.init_weights()
        if not model.tokenizer_checkpoint:
            print_log(
                f'{source} holds no tokenizer and the config names none: it keeps random weights.',
                'current',
                logging.WARNING,
            )
    optional += _load_codes(model, state)
    load_weights(model, state, source, optional)


def _load_codes(model: nn.Module, state: dict[str, Tensor]) -> tuple[str, ...]:
    """Load the tokenizer that a first stage predicts the codes of, if its own file has none, as
    converted ones.

    Returns:
        The beginning of the names of what was loaded.
    """
    pixels = dict(model.named_children()).get('pixels')
    if not isinstance(pixels, LoadsWeights) or any(name.startswith(CODES) for name in state):
        return ()
    pixels.load_weights()
    return (CODES,)


def load_start(model: nn.Module, checkpoint: str, rename: dict[str, str] | None = None) -> None:
    """Load the weights that a training starts from, of a model that has more parts or others.

    Args:
        model: Every tensor but those of a discriminator must be in the file.
        checkpoint: File; averaged weights come first.
        rename: Beginnings of the file's names to those of ours.

    Raises:
        UserError: The file does not exist, or lacks a tensor.
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
    text = f'The training starts from {len(state)} tensors of {checkpoint}.'
    print_log(text, 'current')


def load_tokenizer_weights(tokenizer: nn.Module, path: str | Path) -> None:
    """Load a generator's frozen tokenizer from a tokenizer's checkpoint.

    Raw weights replace averages that are absent.

    Raises:
        UserError: The file is not there, does not fit, or its weights are not finite: a training
            would not show it.
    """
    if not usable(path).exists():
        raise UserError(
            f'{path} does not exist; train that tokenizer or convert its official file, and name '
            f'the result here, or set this to None for a tokenizer of random weights.'
        )
    load_model_weights(tokenizer, path)
    for name, value in tokenizer.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(
                f'Checkpoint {path}: {name} has NaN or infinite numbers; use another checkpoint.'
            )
