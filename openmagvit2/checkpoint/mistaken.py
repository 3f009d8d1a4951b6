"""Files that are taken for checkpoints, and are not."""

from pathlib import Path

from openmagvit2.errors import UserError

PICTURE = 'it is a picture'
# How such a file begins, and what to say of it.
BEGINNINGS = {
    b'version https://git-lfs': 'it is a pointer of Git LFS; fetch the file itself, as by '
    '`git lfs pull`',
    b'<': 'it is a web page; download the file itself',
    b'\x89PNG': PICTURE,
    b'\xff\xd8\xff': PICTURE,
    b'\x93NUMPY': 'it is an array of NumPy',
}


def check_beginning(path: Path) -> None:
    """Check that a file does not begin as something else than a checkpoint.

    Raises:
        UserError: It is empty, or a file of another kind that is often met in the place of one.
    """
    with open(path, 'rb') as file:
        begin = file.read(32)
    if not begin:
        raise UserError(f'Checkpoint {path} is empty; copy or download it again.')
    for beginning, what in BEGINNINGS.items():
        if begin.startswith(beginning):
            raise UserError(f'Checkpoint {path} is none: {what}.')
