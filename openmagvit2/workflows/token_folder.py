"""The folder of a token cache while it is written, block by block."""

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

# The same tokenizer may lie elsewhere, and new files that cannot be read change no token.
NOT_COMPARED = ('finished', 'tokenizer', 'listing')


class TokenFolder:
    """Write the tokens of a data set by blocks of images, so that a killed call can go on.

    The mark of a finished block is a file. Marks belong to blocks, not to processes: a second start
    may have another number of them.

    Args:
        path: The folder.
        header: What its header says: sizes, how the tokens are made, and ``block``, the images of
            a block.
    """

    def __init__(self, path: Path, header: dict) -> None:
        self.path, self.header = path, header

    def begin(self) -> bool:
        """Make the folder, or check what is there; return whether it is finished.

        Raises:
            UserError: It cannot be written to, or holds other tokens.
        """
        if not (usable_text(self.path) / HEADER).is_file():
            self._make()
            return False
        old = read_header(self.path)
        self._compare(old)
        check_sizes(self.path, old)
        if not old['finished']:
            return False
        if old.get('listing') != self.header['listing']:
            write_header(self.path, old | dict(listing=self.header['listing']))
        # A kill may have come between the end and the clearing up.
        self._remove_marks()
        return True

    def _make(self) -> None:
        make_folder(self.path)
        # They would stand for blocks of a header that is gone.
        self._remove_marks()
        # Better here than after hours.
        reserve(self.path / TOKENS, token_bytes(self.header))
        with write_atomically(self.path / LABELS) as file:
            np.save(file, np.zeros(self.header['num_images'], np.int64))
        # Last, since it says that the others are there.
        write_header(self.path, self.header)

    def _compare(self, old: dict) -> None:
        known = {key: value for key, value in old.items() if key not in NOT_COMPARED}
        other = [key for key, value in known.items() if self.header.get(key) != value]
        # The same recipe gives other images.
        if other and set(other) <= {'fingerprint', 'num_images', 'classes'}:
            raise UserError(
                f'{self.path} holds tokens of images that have changed since (names, sizes or '
                f'times); give another --out, or remove it.'
            )
        # Other settings may choose other images.
        other = [key for key in other if key != 'fingerprint']
        if other:
            raise UserError(
                f'{self.path} holds tokens of other settings ({", ".join(other)}); give another '
                f'--out, or remove it.'
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
        """Write tokens (images, views, *grid) and labels (images,) of a block, and its mark."""
        start = self.rows(number).start
        write_range(self.path / TOKENS, start * tokens[0].nbytes, tokens.data)
        write_range(self.path / LABELS, LABELS_START + start * labels.itemsize, labels.data)
        # Not on the disk before what it stands for.
        write_text(self._mark(number), 'done\n')

    def finish(self) -> dict:
        """Write the finished header and only then remove the marks; return the header."""
        header = self.header | dict(finished=True)
        write_header(self.path, header)
        self._remove_marks()
        return header

    def _mark(self, number: int) -> Path:
        return self.path / f'.block-{number:06d}'

    def _remove_marks(self) -> None:
        for mark in self.path.glob('.block-*'):
            mark.unlink(missing_ok=True)
