"""Find weights of networks that measure, such as LPIPS; nothing is downloaded."""

import os
from pathlib import Path

import torch

from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError
from openmagvit2.io import usable


def find_weights(name: str, what: str, key: str, given: str | None = None) -> Path:
    """Return the path of a file of weights, given or found by its name.

    The name is looked up in ``$OPENMAGVIT2_WEIGHTS`` and torch hub's cache.

    Args:
        name: Published name of the file.
        what: Description for errors, such as 'the FID Inception network of torch-fidelity'.
        key: Config key of ``given``, such as ``model.training.losses.perceptual.weights``.
        given: Path of the file, to use instead of a search.

    Raises:
        UserError: The file does not exist; the message lists the places.
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
    """Return whether a file has the hash at the end of its name, as in ``vgg16-397923af.pth``."""
    return file_hash(path).startswith(name.rsplit('-', 1)[-1].split('.')[0])
