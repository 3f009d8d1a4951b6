"""Samples of a tar shard, in its order."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from openmagvit2.io.image_files import is_hidden

# Bytes of one file. The largest image that is read, 89 million pixels, is 268 MB uncompressed; a
# sparse or compressed archive of some kilobytes can announce terabytes.
LARGEST = 300_000_000
# What webdataset keeps for itself.
META = re.compile(r'__[^/]*__($|/)')


@dataclass
class TooLarge:
    """Stands for the content of a file that would fill the memory, which is not read."""

    size: int

    def __str__(self) -> str:
        return f'{self.size} bytes are more than an image of {LARGEST} can have'


def samples(shard: str) -> Iterator[dict]:
    """Samples of a shard in order: by the endings of their files bytes, or a :class:`TooLarge`.
    Where the shard breaks off, a dict with an ``__error__`` stands for the rest.
    """
    from webdataset.tariterators import group_by_keys, url_opener

    try:
        (opened,) = url_opener([dict(url=shard)])
        yield from group_by_keys(_files(opened['stream'], shard))
    except Exception as error:  # tarfile and the openers fail in many ways
        yield dict(__key__='', __error__=str(error.args[0] if error.args else error))


def _files(stream: IO[bytes], shard: str) -> Iterator[dict]:
    """What webdataset's own iterator gives, which reads files of any size."""
    with tarfile.open(fileobj=stream, mode='r|*') as archive:
        for member in archive:
            # The archive would keep all that it has seen.
            archive.members = []
            if not member.isreg() or META.match(member.name) or not is_wanted(member.name):
                continue
            data = (
                archive.extractfile(member).read()
                if member.size <= LARGEST
                else TooLarge(member.size)
            )
            yield dict(fname=member.name, data=data, __url__=shard)


def is_wanted(name: str) -> bool:
    """Whether no folder on the way to a file, nor the file itself, is hidden."""
    return not any(map(is_hidden, PurePosixPath(name).parts))
