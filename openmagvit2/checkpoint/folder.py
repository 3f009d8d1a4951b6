"""Read and write model folders: ``config.json``, ``model.safetensors`` and ``README.md``.

The layout is that of the Hugging Face hub: weights above 5 GB are split into several files, which
``model.safetensors.index.json`` lists. Nothing in a folder is executed.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from openmagvit2.checkpoint.folder_config import check
from openmagvit2.checkpoint.hashing import state_hash, weights_hash
from openmagvit2.checkpoint.loading import TRAINING_ONLY, check_weights, load_weights
from openmagvit2.checkpoint.reading import read_checkpoint
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, write_text

CONFIG, CARD = 'config.json', 'README.md'
WEIGHTS, INDEX = 'model.safetensors', 'model.safetensors.index.json'
# Files that loading reads.
PATTERNS = [CONFIG, 'model*.safetensors', INDEX]
# Maximum size of one file.
SHARD = '5GB'


def write_folder(
    folder: str | Path,
    config: dict[str, Any],
    model: nn.Module,
    card: str,
    max_shard_size: str = SHARD,
) -> None:
    """Write a model without the parts that only training needs.

    Args:
        folder: The folder; created if necessary, and a model in it is replaced.
        config: Plain values, with the config of the model under 'model'.
        model: The model; its weights keep their type.
        card: Text of ``README.md``.
        max_shard_size: Maximum size of one file of weights, such as '5GB'.

    Raises:
        UserError: :func:`read_config` would refuse the config, or the folder is not writable.
    """
    # The import takes a second.
    from huggingface_hub import save_torch_state_dict

    check(config, str(folder))
    folder = make_folder(folder)
    # Written last, because a folder without it has no model.
    (folder / CONFIG).unlink(missing_ok=True)
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith(TRAINING_ONLY)
    }
    save_torch_state_dict(weights, folder, max_shard_size=max_shard_size)
    if (folder / WEIGHTS).exists():
        (folder / INDEX).unlink(missing_ok=True)
    write_text(folder / CARD, card)
    for path in folder.glob('model*.safetensors'):
        # safetensors makes files that only their owner can read; apply the umask instead.
        shutil.copymode(folder / CARD, path)
    hashed = dict(config, weights_sha256=weights_hash(model, without=TRAINING_ONLY))
    write_text(folder / CONFIG, json.dumps(hashed, indent=2) + '\n')


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read and check ``config.json``; see :func:`openmagvit2.checkpoint.folder_config.check`.

    Raises:
        UserError: The file is missing or damaged, or has values that a model folder may not have.
    """
    path = Path(folder) / CONFIG
    if path.exists() and not path.is_file():
        # Reading a pipe would wait, and reading a device would never end.
        raise UserError(f'{path} is not a file; choose another folder.')
    try:
        config = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise UserError(f'{folder} is not a model folder: it has no {CONFIG}.') from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    check(config, str(path))
    return config


def check_folder(model: nn.Module, folder: str | Path) -> None:
    """Raise UserError if the weights of a folder do not fit a model, which may be on 'meta'."""
    check_weights(model, _weights(Path(folder)), f'Model folder {folder}', TRAINING_ONLY)


def load_folder(
    model: nn.Module,
    folder: str | Path,
    sha256: str | None = None,
    again: str = 'download it again',
) -> None:
    """Load the weights of a folder into the model that its config builds.

    Args:
        model: The model.
        folder: The folder.
        sha256: ``weights_sha256`` of its ``config.json``, if any.
        again: Advice if the weights have another hash.

    Raises:
        UserError: A file is missing or damaged, or the weights do not fit the config or the hash.
    """
    weights = _weights(Path(folder))
    if sha256 is not None and state_hash(weights, TRAINING_ONLY) != sha256:
        raise UserError(
            f'Model folder {folder}: its weights do not have the hash in {CONFIG}; {again}, or '
            f'remove weights_sha256 from {CONFIG} if they were changed on purpose.'
        )
    load_weights(model, weights, f'Model folder {folder}', TRAINING_ONLY)


def _weights(folder: Path) -> dict[str, Tensor]:
    index = folder / INDEX
    if not index.is_file():
        return read_checkpoint(folder / WEIGHTS)['state_dict']
    try:
        files = set(json.loads(index.read_text(encoding='utf-8'))['weight_map'].values())
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(f'{index} is damaged: {error!r}') from error
    outside = [name for name in files if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise UserError(f'{index} lists {outside[0]!r}, which is not a file in the folder.')
    weights: dict[str, Tensor] = {}
    for name in sorted(files):
        weights |= read_checkpoint(folder / name)['state_dict']
    return weights
