"""Save and load models as folders and on the Hugging Face hub."""

import re
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
import torch
from mmengine.config import Config
from torch import nn

from openmagvit2.apis.card import model_card
from openmagvit2.apis.folder_contents import folder_config, model_name, users_modules
from openmagvit2.apis.hub_errors import hub_error
from openmagvit2.apis.init_model import init_model
from openmagvit2.apis.models import config_path, model_info
from openmagvit2.apis.official import load_official
from openmagvit2.checkpoint.folder import (
    PATTERNS,
    SHARD,
    check_folder,
    load_folder,
    read_config,
    write_folder,
)
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.config import load_config
from openmagvit2.errors import UserError, first_line
from openmagvit2.io import usable

Door = TypeVar('Door', bound='Pretrained')
REPOSITORY = re.compile(r'[\w.-]+/[\w.-]+')


class Pretrained:
    """Base class of :class:`Tokenizer` and :class:`Generator`: loads, saves and uploads models.

    Attributes:
        model: The model, in eval mode.
        config: Its merged config; None if the model was given without it.
    """

    model: Any
    config: Config | None

    def __init__(self, model: nn.Module, *, config: Config | None = None) -> None:
        self.model, self.config = model.eval(), config

    @classmethod
    def from_pretrained(
        cls: type[Door],
        name: str | Path,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> Door:
        """Load a model from a folder or from the hub, without the parts that only training needs.

        Args:
            name: A folder of :meth:`save_pretrained`; ``owner/name`` on the hub; or a name from
                :func:`list_models` whose official file is published.
            revision: Branch, tag or commit on the hub.
            device, dtype: See :func:`openmagvit2.apis.init_model`.

        Raises:
            UserError: There is no such model, the hub cannot be reached, a file is damaged, the
                weights do not have the hash in ``config.json``, or ``config.json`` has values that
                a model folder may not have.
        """
        if not usable(name).is_dir() and model_info(str(name)):
            door = cls.from_config(str(name), device=device, dtype=dtype)
            load_official(door.model, str(name), revision)
            return door
        folder = fetch(name, revision)
        content = read_config(folder)
        entries: dict[str, Any] = {
            key: content[key] for key in ('model', 'eval_sampling') if key in content
        }
        config = Config(entries | dict(model_name=content.get('name', folder.name)))
        check_folder(_draft(config, folder), folder)
        door = cls.from_config(config, device=device, dtype=dtype)
        again = 'download it again'
        if not usable(name).is_dir():
            # A cached file would not be downloaded again.
            again = f'delete {folder.parents[1]} to download {name} again'
        load_folder(door.model, folder, content.get('weights_sha256'), again)
        door.model.dataset_meta = content.get('dataset_meta', {})
        return door

    @classmethod
    def from_config(
        cls: type[Door],
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        cfg_options: dict[str, Any] | None = None,
    ) -> Door:
        """Build the model of a config; see :func:`openmagvit2.apis.init_model`.

        The checkpoint of a generator contains its tokenizer.
        """
        if not isinstance(config, Config):
            config, cfg_options = load_config(config_path(config), cfg_options), None
        return cls(init_model(config, checkpoint, device, cfg_options, dtype), config=config)

    def save_pretrained(
        self,
        folder: str | Path,
        name: str | None = None,
        metrics: dict[str, Any] | None = None,
        max_shard_size: str = SHARD,
    ) -> None:
        """Write the model to a folder: ``config.json``, ``model.safetensors`` and ``README.md``.

        Args:
            folder: The folder; created if necessary, and a model in it is replaced.
            name: Name of the model in its card; by default that of its config.
            metrics: Content of a ``metrics.json`` that was measured with these weights.
            max_shard_size: Maximum size of one file of weights, such as '5GB'.

        Raises:
            UserError: The model was given without a config, or the config has values that a model
                folder may not have, such as paths.
        """
        if self.config is None:
            raise UserError(
                f'{type(self).__name__}: the model was passed without its config; use from_config.'
            )
        name = name or model_name(self.config)
        meta = getattr(self.model, 'dataset_meta', None)
        config = folder_config(self.config, name, meta)
        imports = users_modules(config['model'])
        card = model_card(name, is_generator(self.model), metrics, imports)
        write_folder(folder, config, self.model, card, max_shard_size)

    def push_to_hub(
        self,
        name: str,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
        message: str = 'Upload model',
    ) -> str:
        """Upload what :meth:`save_pretrained` writes.

        Weights that are there already are replaced.

        Args:
            name: ``owner/name`` on the hub; the repository is created if necessary.
            private: Whether a new repository is private.
            revision: Branch to write to; created if necessary.
            token: Access token; by default that of ``hf auth login``.
            message: Commit message.

        Returns:
            URL of the commit.

        Raises:
            UserError: The hub refuses the upload or cannot be reached.
        """
        if not REPOSITORY.fullmatch(name):
            raise UserError(f'{name} is not the name of a hub repository; use owner/name.')
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            hub = huggingface_hub.HfApi(token=token)
            try:
                hub.create_repo(name, private=private, exist_ok=True)
                if revision:
                    hub.create_branch(name, branch=revision, exist_ok=True)
                commit = hub.upload_folder(
                    repo_id=name,
                    folder_path=folder,
                    revision=revision,
                    commit_message=message,
                    # Parts of an earlier model would be read in place of this one's file.
                    delete_patterns=PATTERNS,
                )
            except Exception as error:  # as in `fetch`
                raise hub_error(name, 'cannot be written on the hub', error, revision) from error
            return str(commit)


def fetch(name: str | Path, revision: str | None = None) -> Path:
    """Return a local folder, or download a repository of the hub and return its folder.

    Args:
        name: Folder, or ``owner/name`` on the hub.
        revision: Branch, tag or commit on the hub.

    Raises:
        UserError: There is neither; or the hub cannot be reached and there is no local copy.
    """
    if usable(name).is_dir():
        return Path(name)
    if not REPOSITORY.fullmatch(str(name)):
        raise UserError(f'{name} is neither a folder nor a repository of the hub (owner/name).')
    try:
        return Path(
            huggingface_hub.snapshot_download(str(name), revision=revision, allow_patterns=PATTERNS)
        )
    except Exception as error:  # a download fails in many ways, with classes of several packages
        raise hub_error(str(name), 'cannot be downloaded from the hub', error, revision) from error


def _draft(config: Config, folder: Path) -> nn.Module:
    """Build the model of an untrusted config on 'meta', where its sizes need no memory.

    Raises:
        UserError: The config does not build a model.
    """
    try:
        return init_model(config, device='meta')
    except UserError:
        raise
    except Exception as error:  # wrong sizes fail in many ways
        reason = first_line(error)
        raise UserError(f'{folder}: its config.json does not build a model: {reason}.') from error
