"""Files of numpy, which may be damaged or hold something else."""

from pathlib import Path

import numpy as np

from openmagvit2.errors import UserError


def map_array(path: Path, remedy: str = '') -> np.ndarray:
    """Map an npy file, read-only: the header of a small file can announce terabytes.

    Raises:
        UserError: It cannot be read, or holds pickled objects; ``remedy`` ends the sentence.
    """
    try:
        return np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f'{path} cannot be read ({error}){remedy}.') from None
