"""Search for the weights of networks that only measure; nothing is downloaded."""

import os
from pathlib import Path

import torch

from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError
from openmagvit2.io import usable


def find_weights(name: str, what: str, key: str, given: str | None = None) -> Path:
    """Return the path of a weights file: a given one, or one found by its name.

    The folders searched are ``$OPENMAGVIT2_WEIGHTS`` and torch hub's cache.

    Args:
        name: File name as its authors publish it.
        what: Description for errors, as 'the FID Inception network of torch-fidelity'.
        key: Config key that may name another file, as ``model.training.losses.perceptual.weights``.
        given: Path of another file.

    Raises:
        UserError: The file is not found; the message lists the places searched.
    """
    places = [Path(given)] if given else []
    if not places:
        if 'OPENMAGVIT2_WEIGHTS' in os.environ:
            places.append(Path(os.environ['OPENMAGVIT2_WEIGHTS']) / name)
        places.append(Path(torch.hub.get_dir()) / 'checkpoints' / name)
    for place in places:
        if usable(place).is_file():
            return place
    raise UserError(
        f'{name} ({what}) is needed and not in {" or ".join(map(str, places))}; put the file '
        f'there, into the folder that OPENMAGVIT2_WEIGHTS names, or name it in {key}.'
    )


def is_published(path: Path, name: str) -> bool:
    """Return whether the hash of a file ends its published name, as in ``vgg16-397923af.pth``."""
    return file_hash(path).startswith(name.rsplit('-', 1)[-1].split('.')[0])
