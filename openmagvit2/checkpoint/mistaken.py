"""Files that are taken for checkpoints, and are not."""

import codecs
from pathlib import Path

from openmagvit2.errors import UserError
from openmagvit2.io import reading

PICTURE = 'it is a picture; name a checkpoint'
# How such a file begins, and what to say of it.
BEGINNINGS = {
    b'version https://git-lfs': 'it is a pointer of Git LFS; fetch the file itself, as by '
    '`git lfs pull`',
    b'<': 'it is a web page; download the file itself',
    b'\x89PNG': PICTURE,
    b'\xff\xd8\xff': PICTURE,
    b'\x93NUMPY': 'it is an array of NumPy; name a checkpoint',
}


def check_beginning(path: Path) -> None:
    """Check that a file does not begin as something else than a checkpoint.

    Raises:
        UserError: It is empty, a text, or a file of another kind that is often met in the place of
            one.
    """
    with reading(path), open(path, 'rb') as file:
        begin = file.read(256)
        file.seek(-min(1, len(begin)), 2)
        last = file.read()
    if not begin:
        raise UserError(f'Checkpoint {path} is empty; copy or download it again.')
    for beginning, what in BEGINNINGS.items():
        if begin.startswith(beginning):
            raise UserError(f'{path} is not a checkpoint: {what}.')
    # Pickles of protocol 0 are texts that end with a dot.
    if _is_text(begin) and last != b'.':
        line = begin.decode(errors='ignore').strip().partition('\n')[0][:40]
        listed = path.name.endswith('.index.json')
        remedy = 'name the files that it lists' if listed else 'fetch the file itself'
        raise UserError(
            f'{path} is not a checkpoint: it is a text that begins with {line!r}; {remedy}.'
        )


def _is_text(begin: bytes) -> bool:
    try:
        # A letter that is cut at the end is none to complain of.
        text = codecs.getincrementaldecoder('utf-8')().decode(begin)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
