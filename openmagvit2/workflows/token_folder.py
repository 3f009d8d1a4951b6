"""Writing of a token cache, block by block."""

from pathlib import Path

import numpy as np

from openmagvit2.datasets.token_files import (
    HEADER,
    LABELS,
    LABELS_START,
    TOKENS,
    check_sizes,
    read_header,
    token_bytes,
    write_header,
)
from openmagvit2.errors import UserError
from openmagvit2.io import (
    make_folder,
    reserve,
    usable_text,
    write_atomically,
    write_range,
    write_text,
)

# The tokenizer may have been moved, and new unreadable files change no token.
NOT_COMPARED = ('finished', 'tokenizer', 'listing')


def _respelled(header: dict) -> dict:
    """Return the header with ``crops='center'`` for 'centre', the spelling of earlier versions."""
    recipe = header.get('recipe')
    if isinstance(recipe, dict) and recipe.get('crops') == 'centre':
        return header | dict(recipe=recipe | dict(crops='center'))
    return header


class TokenFolder:
    """Write the tokens of a data set in blocks of images, so that a killed call can be resumed.

    A file marks each finished block. Marks belong to blocks, not to processes, so that the next
    start may use another number of processes.

    Args:
        path: The folder.
        header: The header: sizes, how the tokens are made, and ``block``, the images per block.
    """

    def __init__(self, path: Path, header: dict) -> None:
        self.path, self.header = path, header

    def begin(self) -> bool:
        """Make the folder, or check its content; return whether it is finished.

        Raises:
            UserError: It cannot be written, or contains other tokens.
        """
        if not (usable_text(self.path) / HEADER).is_file():
            self._make()
            return False
        old = _respelled(read_header(self.path))
        self._compare(old)
        check_sizes(self.path, old)
        if not old['finished']:
            return False
        if old.get('listing') != self.header['listing']:
            write_header(self.path, old | dict(listing=self.header['listing']))
        # The last call may have been killed before it removed the marks.
        self._remove_marks()
        return True

    def _make(self) -> None:
        make_folder(self.path)
        # They belong to a header that no longer exists.
        self._remove_marks()
        # A full disk is reported now, not after hours.
        reserve(self.path / TOKENS, token_bytes(self.header))
        with write_atomically(self.path / LABELS) as file:
            np.save(file, np.zeros(self.header['num_images'], np.int64))
        # Last, because a header means that the other files exist.
        write_header(self.path, self.header)

    def _compare(self, old: dict) -> None:
        known = {key: value for key, value in old.items() if key not in NOT_COMPARED}
        other = [key for key, value in known.items() if self.header.get(key) != value]
        # The recipe is the same, but the images have changed.
        if other and set(other) <= {'fingerprint', 'num_images', 'classes'}:
            raise UserError(
                f'{self.path} holds tokens of images that have changed since (names, sizes or '
                f'times); choose another --out, or remove it.'
            )
        # Other settings may select other images.
        other = [key for key in other if key != 'fingerprint']
        if other:
            raise UserError(
                f'{self.path} holds tokens with other settings ({", ".join(other)}); choose '
                f'another --out, or remove it.'
            )

    def left(self) -> list[int]:
        """Return the numbers of the blocks that are not finished."""
        every = range(-(-self.header['num_images'] // self.header['block']))
        return [number for number in every if not self._mark(number).exists()]

    def rows(self, number: int) -> range:
        """Return the indices of the images of a block."""
        start = number * self.header['block']
        return range(start, min(start + self.header['block'], self.header['num_images']))

    def write(self, number: int, tokens: np.ndarray, labels: np.ndarray) -> None:
        """Write tokens (images, views, *grid) and labels (images,) of a block, then its mark."""
        start = self.rows(number).start
        write_range(self.path / TOKENS, start * tokens[0].nbytes, tokens.data)
        write_range(self.path / LABELS, LABELS_START + start * labels.itemsize, labels.data)
        # It is on the disk only after the data.
        write_text(self._mark(number), 'done\n')

    def finish(self) -> dict:
        """Write the finished header, then remove the marks; return the header."""
        header = self.header | dict(finished=True)
        write_header(self.path, header)
        self._remove_marks()
        return header

    def _mark(self, number: int) -> Path:
        return self.path / f'.block-{number:06d}'

    def _remove_marks(self) -> None:
        for mark in self.path.glob('.block-*'):
            mark.unlink(missing_ok=True)
