"""One sentence for every way in which a checkpoint file cannot be read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openmagvit2.errors import UserError


@contextmanager
def reader_errors(path: Path, kind: str) -> Iterator[None]:
    """Convert any error of a reader to a UserError that names the file.

    Args:
        path: The file.
        kind: What it should be, such as 'file of torch.save', for the error.

    Raises:
        UserError: The reader raised a UserError, whose text states the reason without a final dot;
            or anything else, which means that the file is damaged.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f'Checkpoint {path} cannot be read safely: {error}.') from error
    except Exception as error:  # a damaged file can fail in any way
        raise UserError(
            f'Checkpoint {path} cannot be read safely: it is damaged, or not a {kind} '
            f'({_reason(error)}); download it again.'
        ) from error


def unsafe(name: str) -> str:
    """Return the reason to refuse a pickle that refers to a class or function."""
    return f'it needs `{name}`, which could run code; use a file from another source'


def _reason(error: Exception) -> str:
    # torch's text begins with the advice to load the file without this check.
    found = re.search(r'WeightsUnpickler error:\s*(.+)', str(error))
    first = found.group(1) if found else str(error).strip().partition('\n')[0]
    first = first.partition('. ')[0].rstrip('.')
    # A single word is a dict's missing key, and these texts say nothing about the file.
    if ' ' in first and not first.startswith(('Unsupported operand', '[enforce fail')):
        return first
    return f'{type(error).__name__}{f": {first}" if first else ""}'
