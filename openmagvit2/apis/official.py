"""Weights that a system's authors published: fetched, checked, converted, loaded."""

from pathlib import Path
from typing import Any

from torch import nn

from openmagvit2.apis.hub_errors import reason
from openmagvit2.apis.models import model_info
from openmagvit2.checkpoint import choose_weights, is_ours, load_whole, read_checkpoints, to_ours
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.errors import UserError


def load_official(model: nn.Module, name: str, revision: str | None = None) -> None:
    """Load the published weights of a shipped config, averaged ones where there are any.

    Args:
        model: What the config builds.
        name: From :func:`openmagvit2.apis.list_models`.
        revision: Branch, tag or commit of the repository.

    Raises:
        UserError: None are published, they cannot be fetched, or are not those of the metafile; or
            they are of a transformer, and the config's file of its tokenizer does not exist.
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
    """Return the local copy of a published file, fetched if there is none.

    Args:
        name: Config, for errors.
        entry: ``file``, ``repository`` and ``sha256`` of a metafile.
        revision: Branch, tag or commit of the repository.

    Raises:
        UserError: It lies elsewhere than on the hub, cannot be fetched, or has another hash.
    """
    import huggingface_hub  # takes a second to import

    file, repository = entry['file'], entry['repository']
    # In an archive it has another name.
    by_hand = (
        f'python tools/convert_checkpoint.py {"FILE" if "(" in file else file} OUT.pth --config '
        f'{name}'
    )
    if repository.startswith('https://'):
        raise UserError(f'{name}: fetch {file} from {repository} by hand, then {by_hand}.')
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # a download fails in many ways, with classes of several packages
        raise UserError(
            f'{name}: {file} of {repository} cannot be fetched: {reason(error, revision)}; or '
            f'fetch it by hand, then {by_hand}.'
        ) from error
    if entry['sha256'] and file_hash(path) != entry['sha256']:
        raise UserError(
            f'{path} is not the published {file} of {repository}: its SHA-256 differs; delete '
            f'{path.resolve()} to fetch it again.'
        )
    return path
