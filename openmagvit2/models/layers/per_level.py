"""Arguments that are given for each level of a convolutional network."""

from collections.abc import Sequence

from openmagvit2.errors import UserError


def per_level(key: str, value: int | Sequence[int], levels: int) -> tuple[int, ...]:
    """Return a number for each level, from one number or one a level; ``key`` is the config key
    that an error names.

    Raises:
        UserError: Another number of numbers than of levels.
    """
    numbers = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(numbers) != levels:
        raise UserError(
            f'`{key}` has {len(numbers)} numbers for {levels} levels (`channel_multipliers`); give '
            f'one number, or one a level.'
        )
    return numbers


def check_levels(key: str, chosen: Sequence[int], levels: int) -> frozenset[int]:
    """Return the chosen levels, each between 0 (full resolution) and ``levels - 1``.

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
    """Return how many levels change the resolution: all but one by default.

    Raises:
        UserError: Fewer than none or more than all levels.
    """
    number = levels - 1 if value is None else value
    if number not in range(levels + 1):
        raise UserError(f'`{key}={value}` must be between 0 and the number of levels, {levels}.')
    return number
