"""Finding the weights of networks that only measure: files that a machine without a network has
been given.
"""

import os
from pathlib import Path

import torch

from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError


def find_weights(name: str, what: str, key: str, given: str | None = None) -> Path:
    """The file ``name``: ``given`` where that is not None, else in ``$OPENMAGVIT2_WEIGHTS``, else
    in torch hub's cache.

    Args:
        name: File name as its authors publish it.
        what: What the error calls it, as 'the FID Inception network of torch-fidelity'.
        key: What may name another file, as ``model.training.losses.perceptual.weights``.
        given: That file.

    Raises:
        UserError: It is nowhere; the text says where it was looked for and where it may be put.
    """
    places = [Path(given)] if given else []
    if not places:
        if 'OPENMAGVIT2_WEIGHTS' in os.environ:
            places.append(Path(os.environ['OPENMAGVIT2_WEIGHTS']) / name)
        places.append(Path(torch.hub.get_dir()) / 'checkpoints' / name)
    for place in places:
        if place.is_file():
            return place
    raise UserError(
        f'{name} ({what}) is needed and not in {" or ".join(map(str, places))}; put the file '
        f'there, into the folder that '
        f'OPENMAGVIT2_WEIGHTS names, or name it in {key}.'
    )


def is_published(path: Path, name: str) -> bool:
    """Whether a file has the hash that its published name ends in, as ``vgg16-397923af.pth``
    does.
    """
    return file_hash(path).startswith(name.rsplit('-', 1)[-1].split('.')[0])
