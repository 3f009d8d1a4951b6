"""What a model folder states: the name, the config, and the modules that the model needs."""

from typing import Any

from mmengine.config import Config, ConfigDict

from openmagvit2 import registry
from openmagvit2.version import __version__


def model_name(config: Config) -> str:
    """Return the name of a config: its path below ``configs/``, or the name of its file."""
    given = config.get('model_name')
    if given or not config.filename:
        return str(given or 'model')
    from openmagvit2.engine.resume.run_folder import default_folder

    return default_folder(config).relative_to('work_dirs').as_posix()


def folder_config(config: Config, name: str, dataset_meta: dict | None = None) -> dict[str, Any]:
    """Return the content of ``config.json``: the model, and the settings with which it samples.

    Args:
        config: The merged config.
        name: Name of the model.
        dataset_meta: Facts about the training data, such as ``classes``.
    """
    model = _without_training(_plain(config.model))
    entries = dict(
        library_name='openmagvit2',
        library_version=__version__,
        name=name,
        model=model,
        eval_sampling=_plain(config.get('eval_sampling')),
        dataset_meta=_plain(dataset_meta),
    )
    return {key: value for key, value in entries.items() if value}


def _without_training(model: dict) -> dict:
    """Copy a model's config without ``training``, and without the files of its tokenizers.

    The folder contains the weights of tokenizers at any depth.
    """
    kept = {
        key: _without_training(value) if isinstance(value, dict) else value
        for key, value in model.items()
        if key != 'training'
    }
    if isinstance(kept.get('tokenizer'), dict):
        tokenizer = kept['tokenizer']
        kept['tokenizer'] = {k: v for k, v in tokenizer.items() if k not in ('checkpoint', 'seed')}
    return kept


def users_modules(config: Any) -> set[str]:
    """Return the modules outside of this package that register parts of a config."""
    if isinstance(config, (list, tuple)):
        return set().union(*map(users_modules, config))
    if not isinstance(config, dict):
        return set()
    slots, kind = (registry.MODELS, *registry.SLOTS.values()), config.get('type')
    found = {slot.module_dict[kind].__module__ for slot in slots if kind in slot.module_dict}
    own = {name for name in found if name.partition('.')[0] != registry.SCOPE}
    return own.union(*map(users_modules, config.values()))


def _plain(value: Any) -> Any:
    """Copy a value, with lists in place of tuples as in JSON."""
    if isinstance(value, (dict, ConfigDict)):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
