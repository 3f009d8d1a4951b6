"""Reading weights from files, safely and strictly."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from openmagvit2.checkpoint.containers import joined, opened
from openmagvit2.checkpoint.converters import is_official
from openmagvit2.checkpoint.entries import fitted, picked, sole
from openmagvit2.checkpoint.faults import wrong_numbers
from openmagvit2.checkpoint.flax_msgpack import is_msgpack, read_msgpack
from openmagvit2.checkpoint.mapped import ReleasingFile
from openmagvit2.checkpoint.mistaken import check_beginning
from openmagvit2.checkpoint.prefixes import unwrapped
from openmagvit2.checkpoint.safetensors_file import write_safetensors
from openmagvit2.checkpoint.sharded import is_sharded, read_sharded
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.checkpoint.torchscript import is_torchscript, read_torchscript
from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.errors import UserError, faults
from openmagvit2.io import usable, usable_text, write_atomically

# The tokenizer that a first stage predicts the codes of.
CODES = 'pixels.tokenizer.'
# Averaged weights in a .safetensors file, which has no dicts.
EMA_PREFIX = 'ema_state_dict.'


def read_checkpoint(path: str | Path, values: bool = True, entry: str | None = None) -> dict:
    """Read a checkpoint without executing anything in it.

    The file is ``.pth``, ``.ckpt``, ``.safetensors``, or by its content one of flax (msgpack) or
    TorchScript; or it is a folder, a sharded checkpoint.

    Args:
        path: The file or folder.
        values: Read the tensors of a sharded checkpoint too; those of files are mapped.
        entry: Which weights, where a file has several: the path of an entry, or what the names of
            tensors begin with, as ``'ema'``.

    Returns:
        A dict with ``state_dict`` and whatever else the file has; a file of bare tensors becomes
        the ``state_dict``. Prefixes of torch.compile and of data parallelism are taken off names,
        with a printed line.

    Raises:
        UserError: The file is missing, unreadable, or carries objects other than tensors and plain
            Python values.
    """
    path = usable_text(path)
    if is_sharded(path):
        return read_sharded(path, values)
    if path.is_dir():
        raise UserError(
            f'Checkpoint {path} is a folder, not a checkpoint; name a file in it, or a sharded '
            f'checkpoint iter_<number>.dcp.'
        )
    if not path.is_file():
        raise UserError(f'Checkpoint {path} does not exist.')
    check_beginning(path)
    content = _read_safetensors(path) if path.suffix == '.safetensors' else _read(path)
    return joined(_unwrapped(_weights(content, path, entry), path))


def _weights(content: Any, path: Path, entry: str | None) -> dict:
    """Return the content of a file with its weights as ``state_dict``."""
    source = f'Checkpoint {path}'
    if entry is not None and isinstance(content, dict):
        content = picked(content, entry, source)
    else:
        content = sole(opened(content), source)
    _check_state(content['state_dict'], f'{source} holds')
    if content.get('ema_state_dict') is not None:
        _check_state(content['ema_state_dict'], f'{source}: its ema_state_dict holds')
    return content


def _check_state(state: Any, source: str) -> None:
    """Check that a state dict is a dict of names, and that its tensors have numbers."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(
            f'{source} no tensors by name, but a {type(state).__name__} of other things.'
        )
    empty = [name for name, x in state.items() if isinstance(x, Tensor) and x.is_meta]
    if empty:
        raise UserError(
            f'{source} shapes without numbers (as {empty[0]}): it was saved from a model on the '
            f"device 'meta'."
        )


def read_checkpoints(paths: Sequence[str | Path], entry: str | None = None) -> dict:
    """Read one checkpoint, or several files of one model as one; see :func:`read_checkpoint`.

    Raises:
        UserError: Two of them have tensors of one name with other values.
    """
    file = read_checkpoint(paths[0], entry=entry)
    for path in paths[1:]:
        other = read_checkpoint(path, entry=entry)
        both = file['state_dict'].keys() & other['state_dict'].keys()
        for name in sorted(both):
            if not file['state_dict'][name].equal(other['state_dict'][name]):
                raise UserError(
                    f'{paths[0]} and {path} both have {name}, with other values; give files '
                    f'that belong together.'
                )
        file = other | file | dict(state_dict=file['state_dict'] | other['state_dict'])
    return file


def _read(path: Path) -> Any:
    """Read a file of flax, of TorchScript, or of torch.save, by its content."""
    if is_msgpack(path):
        return read_msgpack(path)
    return read_torchscript(path) if is_torchscript(path) else read_pickle(path)


def _read_safetensors(path: Path) -> dict:
    """Read raw and averaged weights, and names of classes."""
    try:
        tensors, meta = load_file(path), _safetensors_meta(path)
    except Exception as error:
        raise UserError(
            f'Checkpoint {path} cannot be read safely: it is damaged, or no file of safetensors '
            f'({error}).'
        ) from error
    averaged = {
        name.removeprefix(EMA_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(EMA_PREFIX)
    }
    raw = {name: tensor for name, tensor in tensors.items() if not name.startswith(EMA_PREFIX)}
    content = dict(state_dict=raw) | (dict(ema_state_dict=averaged) if averaged else {})
    return content | meta


def _safetensors_meta(path: Path) -> dict:
    with safe_open(path, 'pt') as file:
        text = (file.metadata() or {}).get('dataset_meta')
    return dict(meta=dict(dataset_meta=json.loads(text))) if text else {}


def _unwrapped(content: dict, path: Path) -> dict:
    """Remove wrappers' prefixes from the names of raw and averaged weights."""
    prefixes: list[str] = []
    for key in ('state_dict', 'ema_state_dict'):
        if isinstance(content.get(key), dict):
            state, found = unwrapped(content[key])
            if found:
                content, prefixes = content | {key: state}, prefixes + found
    if prefixes:
        names = ' and '.join(f'`{prefix}`' for prefix in dict.fromkeys(prefixes))
        print_log(f'Checkpoint {path}: names are read without {names}.', 'current')
    return content


def write_checkpoint(content: dict, path: str | Path, sources: Sequence[str | Path] = ()) -> None:
    """Write a checkpoint atomically.

    Args:
        content: ``state_dict`` and other entries, of which a ``.safetensors`` file keeps averaged
            weights and ``meta.dataset_meta``.
        path: ``.pth``, ``.ckpt`` or ``.safetensors``.
        sources: Files that tensors are mapped from, whose memory is released meanwhile.

    Raises:
        UserError: The ending is none of these.
    """
    path = Path(path)
    if path.suffix == '.safetensors':
        averaged = {
            f'{EMA_PREFIX}{name}': tensor
            for name, tensor in content.get('ema_state_dict', {}).items()
        }
        with write_atomically(path) as file:
            write_safetensors(
                content['state_dict'] | averaged,
                ReleasingFile(file, sources),
                dataset_meta(content),
            )
    elif path.suffix in ('.pth', '.ckpt', '.pt'):
        save_atomically(content, path, sources)
    else:
        raise UserError(f'{path}: write a checkpoint as .pth or .safetensors.')


def save_atomically(content: dict, path: Path, sources: Sequence[str | Path] = ()) -> None:
    """Write a ``.pth`` file atomically; see :func:`write_checkpoint`."""
    with write_atomically(path) as file:
        torch.save(content, ReleasingFile(file, sources) if sources else file)


def dataset_meta(checkpoint: dict) -> dict:
    """Return a checkpoint's facts about its training data, such as ``classes``; may be empty."""
    meta = checkpoint.get('meta')
    found = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}


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
    shapes = [
        f'{k} {tuple(getattr(state[k], "shape", ()))} instead of {tuple(own[k].shape)}'
        for k in own
        if k in state and (not isinstance(state[k], Tensor) or state[k].shape != own[k].shape)
    ]
    kinds = [
        f'{k} {wrong}'
        for k in own
        if isinstance(state.get(k), Tensor) and (wrong := wrong_numbers(state[k], own[k]))
    ]
    found = faults(dict(missing=missing, unexpected=unexpected, misshaped=shapes, unfit=kinds))
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


TRAINING_ONLY = ('discriminator.', 'lecam.', 'recipe.')


def load_model_weights(model: nn.Module, path: str | Path, ema: bool = True) -> dict:
    """Load a checkpoint into a tokenizer or generator, averaged weights if there are any.

    The checkpoint may lack a discriminator.

    Returns:
        The checkpoint.
    """
    checkpoint = fitted(read_checkpoint(path), model, f'Checkpoint {path}')
    state, optional = choose_weights(checkpoint, ema), TRAINING_ONLY
    if is_generator(model) and not any(name.startswith('tokenizer.') for name in state):
        # A converted transformer without its tokenizer.
        optional = (*optional, 'tokenizer.')
        model.init_weights()
        if not model.tokenizer_checkpoint:
            print_log(
                f'Checkpoint {path} holds no tokenizer and the config names none: it keeps '
                f'random weights.',
                'current',
                logging.WARNING,
            )
    optional += _without_its_codes(model, state)
    load_weights(model, state, f'Checkpoint {path}', optional)
    return checkpoint


def _without_its_codes(model: nn.Module, state: dict[str, Tensor]) -> tuple[str, ...]:
    """Read the tokenizer that a first stage predicts the codes of, where its file has none (a
    converted one).

    Returns:
        The beginning of its names, if so.
    """
    children = dict(model.named_children())
    pixels = children.get('pixels')
    load: Any = getattr(pixels, 'load_weights', None)
    if load is None or any(name.startswith(CODES) for name in state):
        return ()
    load()
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
