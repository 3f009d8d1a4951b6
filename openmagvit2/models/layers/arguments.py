"""Checks and conversions of arguments that several parts share."""

from collections.abc import Sequence
from typing import Any

from openmagvit2.errors import UserError


def check_heads(dim: int, num_heads: int) -> None:
    """Raise UserError if ``num_heads`` does not divide ``dim``."""
    if dim % num_heads:
        raise UserError(f'`dim` must be divisible by `num_heads`, got {dim} and {num_heads}.')


def as_pair(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return (height, width) for a pair, or for one number that gives both.

    Raises:
        UserError: ``size`` is a sequence of another length than 2.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2:
        raise UserError(f'`image_size={pair}` must be one number, or height and width.')
    return pair


def written(sides: Sequence[int]) -> str:
    """Format sides for error messages, such as 16x16."""
    return 'x'.join(map(str, sides))


def per_level(key: str, value: int | Sequence[int], levels: int) -> tuple[int, ...]:
    """Return one number per level, given as one number for all or one per level; ``key`` is the
    config key for the error.

    Raises:
        UserError: The length of ``value`` is not the number of levels.
    """
    numbers = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(numbers) != levels:
        raise UserError(
            f'`{key}` has {len(numbers)} numbers for {levels} levels (`channel_multipliers`); give '
            f'one number, or one per level.'
        )
    return numbers


def check_levels(key: str, chosen: Sequence[int], levels: int) -> frozenset[int]:
    """Return the chosen levels as a set; they are from 0 (full resolution) to ``levels - 1``.

    Raises:
        UserError: A chosen level does not exist.
    """
    wrong = [level for level in chosen if level not in range(levels)]
    if wrong:
        raise UserError(
            f'`{key}={tuple(chosen)}`: there is no level {wrong[0]}; levels are 0 (full '
            f'resolution) to {levels - 1}.'
        )
    return frozenset(chosen)


def num_resamplers(key: str, value: int | None, levels: int) -> int:
    """Return how many levels change the resolution; by default all but one.

    Raises:
        UserError: The number is negative or above the number of levels.
    """
    number = levels - 1 if value is None else value
    if number not in range(levels + 1):
        raise UserError(f'`{key}={value}` must be between 0 and the number of levels, {levels}.')
    return number


def handed(given: dict[str, Any], config: dict, path: str) -> dict[str, Any]:
    """Return the arguments of a part: its config and those that follow from the other parts.

    Args:
        given: Arguments that follow from the other parts.
        config: Config of the part, which may repeat them.
        path: Key of the config, for errors.

    Raises:
        UserError: The config contradicts one of ``given``.
    """
    for key in given.keys() & config.keys():
        if _listed(config[key]) != _listed(given[key]) and config[key] is not None:
            raise UserError(
                f'{path}.{key} follows from the other parts, and is {_listed(given[key])!r}; '
                f'leave it out instead of setting it to {config[key]!r}.'
            )
    return config | given


def _listed(value: Any) -> Any:
    """Convert tuples to lists, recursively."""
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value
