"""Download, check, convert and load weights that authors of systems published."""

from pathlib import Path
from typing import Any

from torch import nn

from openmagvit2.apis.hub_errors import reason
from openmagvit2.apis.models import model_info
from openmagvit2.checkpoint import choose_weights, is_ours, load_whole, read_checkpoints, to_ours
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError


def load_official(model: nn.Module, name: str, revision: str | None = None) -> None:
    """Load the published weights of a shipped config; averages are preferred to raw weights.

    Args:
        model: The model that the config builds.
        name: A name from :func:`openmagvit2.apis.list_models`.
        revision: Branch, tag or commit of the repository.

    Raises:
        UserError: No weights are published, they cannot be downloaded, or have another hash than in
            the metafile; or they contain no tokenizer, and the config's file of it does not exist.
    """
    info = model_info(name)
    if not info or not info['official']:
        raise UserError(f'{name}: no weights are published for this config; train it.')
    listed = info['official'] if isinstance(info['official'], list) else [info['official']]
    checkpoint = read_checkpoints([fetch_file(name, entry, revision) for entry in listed])
    if not is_ours(checkpoint, model):
        checkpoint = to_ours(checkpoint['state_dict'], model)[0]
    load_whole(model, choose_weights(checkpoint), f'The official file of {name}')


def fetch_file(name: str, entry: dict[str, Any], revision: str | None = None) -> Path:
    """Download a published file unless there is a local copy; return its path.

    Args:
        name: Name of the config, for errors.
        entry: A dict with ``file``, ``repository`` and ``sha256``.
        revision: Branch, tag or commit of the repository.

    Raises:
        UserError: The file is not on the hub, cannot be downloaded, or has another hash.
    """
    import huggingface_hub  # takes a second to import

    file, repository = entry['file'], entry['repository']
    # A file in an archive has another name.
    by_hand = (
        f'python tools/convert_checkpoint.py {"FILE" if "(" in file else file} OUT.pth --config '
        f'{name}'
    )
    if repository.startswith('https://'):
        raise UserError(f'{name}: download {file} from {repository} manually, then {by_hand}.')
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # a download fails in many ways, with classes of several packages
        raise UserError(
            f'{name}: {file} of {repository} cannot be downloaded: {reason(error, revision)}; or '
            f'download it manually, then {by_hand}.'
        ) from error
    if entry['sha256'] and file_hash(path) != entry['sha256']:
        raise UserError(
            f'{path} is not the published {file} of {repository}: its SHA-256 differs; delete '
            f'{path.resolve()} to download it again.'
        )
    return path
