"""Settings that differ from those of a checkpoint, whose config text is never executed."""

import ast
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log

from openmagvit2.config.version_1 import translated
from openmagvit2.errors import UserError

# Keys that say where and how a run is started, not what it computes.
CIRCUMSTANCES = ('work_dir', 'load_from', 'resume', 'launcher', 'experiment_name', 'log_level')
# Keys of a model, at any depth, that only its training uses.
OF_TRAINING = ('training', 'checkpoint', 'seed')


def check_changes(runner, meta: dict[str, Any]) -> None:
    """Log each setting of a resumed training that differs from its checkpoint's.

    Args:
        runner: The training.
        meta: ``meta`` of the checkpoint.

    Raises:
        UserError: A setting has changed that cannot change during a training: the seed, the length
            to fewer iterations than done, or the batch size with ``max_epochs``.
    """
    loop, done = runner.train_loop, meta['iter']
    before, now = (
        translated(read_settings(text), {}, say=False)
        for text in (meta.get('cfg', ''), runner.cfg.pretty_text)
    )
    if meta.get('seed', runner.seed) not in (None, runner.seed):
        raise UserError(
            f'seed={runner.seed}: the training began with {meta["seed"]}, which orders its '
            f'images; set seed={meta["seed"]}.'
        )
    if done > loop.max_iters:
        raise UserError(
            f'train_cfg.max_iters={loop.max_iters}: the checkpoint has {done} iterations; set a '
            f'larger number, or pass an older checkpoint to --resume.'
        )
    batch = before.get('global_batch_size') or loop.global_batch_size
    if batch != loop.global_batch_size and runner.cfg.train_cfg.get('max_epochs'):
        raise UserError(
            f'global_batch_size={loop.global_batch_size} instead of {batch}: set '
            f'train_cfg.max_iters instead of max_epochs.'
        )
    for line in differences(before, now) if before else ():
        key = line.partition('=')[0]
        # The optimizer wrappers log changes of the compute type themselves.
        if not (key.startswith('optim_wrapper.') and key.endswith('.dtype')):
            print_log(f'resume: {line}', 'current')


def read_settings(text: str) -> dict[str, Any]:
    """Parse the top-level names of a config's text; empty if it is not valid Python.

    A value that is not a literal stays as its source text.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    return {
        statement.targets[0].id: _value(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def _value(node: ast.expr) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'dict'
        and not node.args
    ):
        return {item.arg: _value(item.value) for item in node.keywords}
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return one sentence for each setting that changes what is computed; not for the seed."""
    return list(_differences(_computing(before), _computing(now), ''))


def model_differences(before: Any, now: Any) -> list[str]:
    """Return one sentence for each changed setting of a model that its inference uses.

    There are none if one of the two models is unknown.
    """
    if not isinstance(before, dict) or not isinstance(now, dict):
        return []
    return list(_differences(_used(before), _used(now), 'model'))


def _used(model: Any) -> Any:
    """Return the settings of a model without those of its training."""
    if not isinstance(model, dict):
        return model
    return {key: _used(value) for key, value in model.items() if key not in OF_TRAINING}


def _computing(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that decide the numbers."""
    randomness = settings.get('randomness')
    randomness = randomness if isinstance(randomness, dict) else {}
    kept = {key: value for key, value in settings.items() if key not in CIRCUMSTANCES}
    return kept | dict(randomness=dict(deterministic=bool(randomness.get('deterministic'))))


def _differences(old: Any, new: Any, key: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(
                old.get(name), new.get(name), f'{key}.{name}' if key else str(name)
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, f'{key}.{i}')
    elif old != new:
        yield f'{key}={new!r} replaces {old!r}.'
