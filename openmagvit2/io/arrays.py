"""Read arrays of NumPy from files that may be damaged."""

from pathlib import Path

import numpy as np

from openmagvit2.errors import UserError


def map_array(path: Path, remedy: str = '') -> np.ndarray:
    """Map an npy file, read-only.

    It is not read, because the header of a small file can announce terabytes.

    Raises:
        UserError: The file cannot be read, or contains pickled objects; ``remedy`` ends the
            sentence.
    """
    try:
        return np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f'{path} cannot be read ({error}){remedy}.') from None
