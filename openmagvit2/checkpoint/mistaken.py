"""Recognize files that users mistake for checkpoints."""

import codecs
import zipfile
from pathlib import Path

from openmagvit2.errors import UserError, few
from openmagvit2.io import reading

PICTURE = 'it is a picture; name a checkpoint'
UNPACK = 'unpack it and name the checkpoint in it'
ARCHIVE = f'it is an archive; {UNPACK}'
# The first bytes of such files, and the end of the error message.
BEGINNINGS = {
    b'version https://git-lfs': 'it is a pointer of Git LFS; download the file itself, as by '
    '`git lfs pull`',
    b'<': 'it is a web page; download the file itself',
    b'\x89PNG': PICTURE,
    b'\xff\xd8\xff': PICTURE,
    b'\x93NUMPY': 'it is an array of NumPy; name a checkpoint',
    b'\x1f\x8b': ARCHIVE,
    b'BZh': ARCHIVE,
    b'\xfd7zXZ': ARCHIVE,
}
# Bytes in the header of a tar file.
TAR = slice(257, 262), b'ustar'


def check_beginning(path: Path) -> None:
    """Raise UserError if a file is empty, a text, an archive or another known non-checkpoint."""
    with reading(path), open(path, 'rb') as file:
        begin = file.read(512)
        file.seek(-min(1, len(begin)), 2)
        last = file.read()
    if not begin:
        raise UserError(f'Checkpoint {path} is empty; copy or download it again.')
    kinds = [what for beginning, what in BEGINNINGS.items() if begin.startswith(beginning)]
    if begin[TAR[0]] == TAR[1]:
        kinds.append(ARCHIVE)
    parts = _parts(path)
    if parts and not any(name.endswith('data.pkl') for name in parts):
        kinds.append(f'it is an archive ({few(parts)}); {UNPACK}')
    if kinds:
        raise UserError(f'{path} is not a checkpoint: {kinds[0]}.')
    # Pickles of protocol 0 are texts that end with a dot.
    if _is_text(begin) and last != b'.':
        line = begin.decode(errors='ignore').strip().partition('\n')[0][:40]
        listed = path.name.endswith('.index.json')
        remedy = 'name the files that it lists' if listed else 'download the file itself'
        raise UserError(
            f'{path} is not a checkpoint: it is a text that begins with {line!r}; {remedy}.'
        )


def _parts(path: Path) -> list[str]:
    """Return the names of the entries of a zip file, such as torch.save writes; [] for others."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _is_text(begin: bytes) -> bool:
    try:
        # The last character may be cut off.
        text = codecs.getincrementaldecoder('utf-8')().decode(begin)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
