"""Loading of configs, checked overrides, and the change of a ``type`` (docs: design of the knobs in ``configs/``).

One function merges dicts for all: a child file into its ``_base_``, and ``--cfg-options`` into a file. Where a ``type`` changes, inherited
keys that the new class does not accept are dropped with a printed line; keys written together with the new type are never dropped.
"""

import ast
import difflib
import importlib
import inspect
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from openmagvit2 import registry
from openmagvit2.errors import UserError

__all__ = ['DictAction', 'check', 'load_config', 'merge']

# Which slot a dict with a `type` belongs to is told by its key.
SLOT_OF_KEY = dict(
    model=registry.MODELS,
    tokenizer=registry.MODELS,
    data_preprocessor=registry.MODELS,
    encoder=registry.ENCODERS,
    quantizer=registry.QUANTIZERS,
    decoder=registry.DECODERS,
    discriminator=registry.DISCRIMINATORS,
    reconstruction_loss=registry.LOSSES,
    perceptual_loss=registry.LOSSES,
    adversarial_loss=registry.LOSSES,
    lecam_loss=registry.LOSSES,
    factorization=registry.FACTORIZATIONS,
    backbone=registry.BACKBONES,
    head=registry.HEADS,
    dataset=registry.DATASETS,
    pipeline=registry.TRANSFORMS,
    sampler=registry.DATA_SAMPLERS,
    train_cfg=registry.LOOPS,
    val_cfg=registry.LOOPS,
    test_cfg=registry.LOOPS,
    features=registry.FEATURES,
    val_evaluator=registry.METRICS,
    test_evaluator=registry.METRICS,
    default_hooks=registry.HOOKS,
    custom_hooks=registry.HOOKS,
    optimizer=registry.OPTIMIZERS,
    param_scheduler=registry.PARAM_SCHEDULERS,
    model_wrapper_cfg=registry.MODEL_WRAPPERS,
    visualizer=registry.VISUALIZERS,
    vis_backends=registry.VISBACKENDS,
    log_processor=registry.LOG_PROCESSORS,
)
# Keys beside the constructor's arguments: a frozen tokenizer names its weights in its own dict.
EXTRA_KEYS = dict(
    param_scheduler={'convert_to_iter_based'}, tokenizer={'checkpoint', 'seed'}, default_hooks={'priority'}, custom_hooks={'priority'}
)
# A training has one length: giving one takes the place of the other that was inherited.
LENGTHS = dict(max_iters='max_epochs', max_epochs='max_iters')
TOP_LEVEL = set(inspect.signature(Runner.__init__).parameters) - {'self'} | {
    'global_batch_size',
    'seed',
    'custom_imports',
    'eval_sampling',
    'sync_bn',
}
DATALOADER = set(inspect.signature(DataLoader.__init__).parameters) - {'self'} | {'num_batch_per_epoch'}


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Load a config file with its bases, merge overrides, and check every key.

    Args:
        path: A Python config file; ``_base_`` names files relative to it.
        options: Overrides by dotted path, as ``--cfg-options`` gives them.

    Raises:
        UserError: The file is missing or does not parse; a key is unknown (the text names the nearest known one).
    """
    path = Path(path)
    content = _read(path)
    if options:
        _check_paths(content, options)
        content = merge(content, _nest(options))
    config = Config(content, filename=str(path))
    config.setdefault('default_scope', registry.SCOPE)
    check(config.to_dict())
    return config


def merge(base: dict, child: dict, path: str = '') -> dict:
    """``child`` into a copy of ``base``, dict by dict; ``_delete_=True`` in a dict of the child forgets the inherited one."""
    if child.get('_delete_'):
        return {key: value for key, value in child.items() if key != '_delete_'}
    result = dict(base)
    old, new = base.get('type'), child.get('type')
    if old is not None and new is not None and old != new:
        result = _keep_accepted(base, new, path)
    for key, value in child.items():
        here = f'{path}.{key}' if path else key
        inherited = result.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict):
            result[key] = merge(inherited, value, here)
        elif isinstance(value, dict) and isinstance(inherited, (list, tuple)):
            result[key] = _merge_list(inherited, value, here)
        else:
            result[key] = value
    for length, other in LENGTHS.items():
        if child.get(length) is not None and length in result and other not in child and base.get(other) is not None:
            result[other] = None
    return result


def check(config: dict, path: str = '') -> None:
    """Check each dict with a ``type`` against the constructor of its class, and the other keys that have a known set.

    Raises:
        UserError: Naming the key and the nearest known one.
    """
    for key, value in config.items():
        here = f'{path}.{key}' if path else key
        if not path and key not in TOP_LEVEL and difflib.get_close_matches(key, TOP_LEVEL, n=1, cutoff=0.85):
            raise UserError(_unknown(here, key, TOP_LEVEL))
        if key.endswith('_dataloader') and isinstance(value, dict):
            _check_dataloader(here, value)
        for suffix, item in _dicts(key, value):
            if 'type' in item:
                _check_typed(here + suffix, item)
            check(item, here + suffix)


def _read(path: Path) -> dict:
    """The content of one file merged into that of its bases."""
    if not path.is_file():
        raise UserError(f'Config file {path} does not exist.')
    text = path.read_text(encoding='utf-8')
    try:
        tree = ast.parse(text.replace('{{', '  ').replace('}}', '  '), filename=str(path))
    except SyntaxError as error:
        raise UserError(f'Config file {path}, line {error.lineno}: {error.msg}.') from error
    bases: list[str] = []
    lines = text.splitlines(keepends=True)
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_':
            value = ast.literal_eval(node.value)
            bases = [value] if isinstance(value, str) else list(value)
            lines[node.lineno - 1 : node.end_lineno] = ['\n'] * (node.end_lineno - node.lineno + 1)
    content: dict = {}
    for base in bases:
        part = _read(path.parent / base)
        twice = sorted(set(part) & set(content))
        if twice:
            raise UserError(f'{path}: `{twice[0]}` is in more than one of its _base_ files.')
        content.update(part)
    # mmengine reads the file's own part, without its bases, so that what is inherited and what is written can be told apart.
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / path.name
        own.write_text(''.join(lines), encoding='utf-8')
        written = Config.fromfile(own, lazy_import=False, import_custom_modules=False).to_dict()
    # Before the merge, which looks up the classes of changed types.
    _import_custom(written, path)
    return merge(content, written)


def _import_custom(content: dict, path: Path) -> None:
    """Import the files that ``custom_imports`` names, from the current directory and from beside the config too."""
    wanted = content.get('custom_imports') or {}
    if not wanted:
        return
    for folder in (str(path.resolve().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    for name in [wanted['imports']] if isinstance(wanted['imports'], str) else wanted['imports']:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.split('.')[0] and error.name != name:
                raise
            raise UserError(f'custom_imports: no module `{name}` in the current directory, beside {path.name}, or installed.') from error


def _accepted(key: str, kind: str | type, path: str) -> set[str] | None:
    """Names that the constructor of a class accepts; None where it cannot be told."""
    slot = SLOT_OF_KEY.get(key)
    if slot is None:
        return None
    cls = slot.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise UserError(f'{path}: {slot.unknown(kind)}')
    names: set[str] = set()
    for base in inspect.getmro(cls) if inspect.isclass(cls) else [cls]:
        parameters = inspect.signature(base.__init__ if inspect.isclass(base) else base).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'} | {'type'} | EXTRA_KEYS.get(key, set())


def _slot_key(path: str) -> str:
    """The last part of a path that is a name of a slot: 'custom_hooks.0' is a hook, 'default_hooks.timer' too."""
    parts = path.split('.')
    if len(parts) > 1 and (parts[-1].isdigit() or parts[-2] in ('default_hooks', 'param_scheduler')):
        return _slot_key('.'.join(parts[:-1]))
    return parts[-1]


def _keep_accepted(base: dict, kind: str, path: str) -> dict:
    accepted = _accepted(_slot_key(path), kind, path)
    dropped = [key for key in base if accepted is not None and key not in accepted]
    if dropped:
        print_log(f'{path}: {base["type"]} → {kind}, dropped {", ".join(dropped)}', 'current', logging.INFO)
    return {key: value for key, value in base.items() if key not in dropped}


def _merge_list(inherited: list | tuple, items: dict, path: str) -> list:
    result = list(inherited)
    for key, value in items.items():
        if not key.isdigit() or int(key) >= len(result):
            raise UserError(f'{path}.{key}: `{path}` is a list of {len(result)}; name an element by its position.')
        old = result[int(key)]
        both = isinstance(old, dict) and isinstance(value, dict)
        result[int(key)] = merge(old, value, f'{path}.{key}') if both else value
    return result


def _nest(options: dict[str, Any]) -> dict:
    """Dotted paths to nested dicts."""
    result: dict = {}
    for path, value in options.items():
        node = result
        *parents, last = path.split('.')
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return result


def _check_paths(content: dict, options: dict[str, Any]) -> None:
    """Where a dict has no ``type``, an override may only name a key that exists."""
    for path in options:
        node: Any = content
        parts = path.split('.')
        for i, part in enumerate(parts):
            if not isinstance(node, dict):
                break
            known = set(node) | (TOP_LEVEL if i == 0 else set())
            if 'type' not in node and part not in known and part != '_delete_' and not _typed_below(node, options, parts[:i]):
                if parts[0].endswith('_dataloader') and i == 1 and part in DATALOADER:
                    break
                raise UserError(_unknown(path, part, known))
            node = node.get(part)


def _typed_below(node: dict, options: dict, parents: list[str]) -> bool:
    return '.'.join([*parents, 'type']) in options or 'constructor' in node


def _dicts(key: str, value: Any) -> list[tuple[str, dict]]:
    """The dicts of a value, with what stands after its path: itself, or the elements of a list."""
    if isinstance(value, dict):
        return [('', value)]
    if isinstance(value, (list, tuple)):
        return [(f'.{i}', item) for i, item in enumerate(value) if isinstance(item, dict)]
    return []


def _check_typed(path: str, value: dict) -> None:
    accepted = _accepted(_slot_key(path), value['type'], path)
    for key in value:
        if accepted is not None and key not in accepted:
            slot, kind = SLOT_OF_KEY[_slot_key(path)], value['type']
            hints = getattr(slot.get(kind) if isinstance(kind, str) else kind, 'KEY_HINTS', {})
            raise UserError(_unknown(f'{path}.{key}', key, accepted - {'type'}, f' of {kind}', hints.get(key)))


def _check_dataloader(path: str, value: dict) -> None:
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError('train_dataloader.batch_size is not a key here: set global_batch_size, which is divided by processes and accumulation.')
    for key in value:
        if key not in DATALOADER:
            raise UserError(_unknown(f'{path}.{key}', key, DATALOADER))


def _unknown(path: str, key: str, known: set[str], where: str = '', hint: str | None = None) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0)
    hint = f' {hint}.' if hint else f' did you mean `{near[0]}`?' if near else ''
    return f'Unknown config key `{path}`:{hint} Known{where or " there"}: {", ".join(sorted(known))}.'
