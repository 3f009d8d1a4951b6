"""Settings of an earlier start, parsed from a checkpoint's config text without executing it."""

import ast
from collections.abc import Iterator
from typing import Any

# Keys about where and how a run is started, not about what it computes.
CIRCUMSTANCES = ('work_dir', 'load_from', 'resume', 'launcher', 'experiment_name', 'log_level')
# Keys of a model, at any depth, that change nothing where its weights are read.
OF_TRAINING = ('training', 'checkpoint', 'seed')


def read_settings(text: str) -> dict[str, Any]:
    """Return the top-level names of a config's text; empty if it does not parse.

    A value that is no literal stays as its source text.
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
    """List one sentence for each setting that has changed; the seed is not one of them."""
    return list(_differences(_computing(before), _computing(now), ''))


def model_differences(before: Any, now: Any) -> list[str]:
    """List one sentence for each setting of a model that has changed, those of its training aside;
    nothing where one of the two is unknown.
    """
    if not isinstance(before, dict) or not isinstance(now, dict):
        return []
    return list(_differences(_used(before), _used(now), 'model'))


def _used(model: Any) -> Any:
    """Return a model's settings without those of its training."""
    if not isinstance(model, dict):
        return model
    return {key: _used(value) for key, value in model.items() if key not in OF_TRAINING}


def _computing(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what decides on the numbers."""
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
        yield f'{key}={new!r} takes the place of {old!r}.'
