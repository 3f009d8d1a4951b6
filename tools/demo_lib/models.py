"""The models that the demo shows."""

from collections.abc import Sequence
from pathlib import Path

from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.engine.resume.run_folder import newest
from openmagvit2.errors import UserError

QUICKSTART = 'work_dirs/quickstart'


def load(door: type, given: Sequence[str], device: str | None):
    """Load ``[folder or hub name]`` or ``[config, checkpoint]`` with ``door``, a class of the API.

    Raises:
        UserError: There are more than two names, or they lead to no model.
    """
    if len(given) == 1:
        return door.from_pretrained(given[0], device=device)
    if len(given) == 2:
        return door.from_config(*given, device=device)
    raise UserError(f'{" ".join(given)}: pass a model folder, or a config and a checkpoint.')


def named(kind: str, door: type, listed: Sequence[Sequence[str]], device: str | None) -> dict:
    """Load models, and return them by the names that the page shows."""
    models = {}
    for given in listed:
        name = Path(given[-1])
        short = f'{name.parent.name}/{name.name}'.lstrip('/')
        if short in models:
            raise UserError(f'--{kind} {" ".join(given)} is named twice.')
        models[short] = load(door, given, device)
    return models


def of_quickstart(folder: str | Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return config and newest checkpoint of the quickstart's tokenizer and of its generator; an
    empty list where there is none.
    """
    found: tuple[list[list[str]], list[list[str]]] = ([], [])
    for part, listed in zip(('tokenizer', 'generator'), found, strict=True):
        where = Path(folder) / part
        configs = sorted(where.glob('*.py'))
        checkpoint = newest(where) if configs else None
        if checkpoint:
            listed.append([str(configs[0]), str(checkpoint[0])])
    return found


def load_all(
    tokenizers: Sequence[Sequence[str]],
    generators: Sequence[Sequence[str]],
    device: str | None = None,
    quickstart: str | Path = QUICKSTART,
) -> tuple[dict[str, Tokenizer], dict[str, Generator]]:
    """Load what the command line names, or the quickstart's models if it names nothing.

    Without a tokenizer, those of the generators are shown.

    Raises:
        UserError: There is nothing to show, or a model cannot be loaded.
    """
    if not tokenizers and not generators:
        tokenizers, generators = of_quickstart(quickstart)
    doors = named('tokenizer', Tokenizer, tokenizers, device)
    makers = named('generator', Generator, generators, device)
    if not doors:
        doors = {name: Tokenizer(maker.model.tokenizer) for name, maker in makers.items()}
    if not doors:
        raise UserError(
            f'There is no result of the quickstart in {quickstart}; run python '
            f'tools/quickstart.py, or name --tokenizer CONFIG CKPT and --generator CONFIG CKPT.'
        )
    return doors, makers
