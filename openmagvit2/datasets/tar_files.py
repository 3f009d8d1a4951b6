"""Reading of the samples of a tar shard, in order."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from openmagvit2.io.image_files import is_hidden

# Maximum size of a file in bytes. The largest allowed image, 89 million pixels, has 268 MB without
# compression, but a sparse or compressed archive of a few kilobytes can unpack to terabytes.
LARGEST = 300_000_000
# Names that webdataset reserves.
META = re.compile(r'__[^/]*__($|/)')


@dataclass
class TooLarge:
    """Placeholder for a file too large to read."""

    size: int

    def __str__(self) -> str:
        return f'{self.size} bytes are too large for an image; at most {LARGEST} are read'


def samples(shard: str) -> Iterator[dict]:
    """Yield the samples of a shard: dicts from file extension to bytes or :class:`TooLarge`.

    If the shard is truncated or damaged, the last dict has the key ``__error__``.
    """
    from webdataset.tariterators import group_by_keys, url_opener

    try:
        (opened,) = url_opener([dict(url=shard)])
        yield from group_by_keys(_files(opened['stream'], shard))
    except Exception as error:  # tarfile and the openers fail in many ways
        yield dict(__key__='', __error__=str(error.args[0] if error.args else error))


def _files(stream: IO[bytes], shard: str) -> Iterator[dict]:
    """Yield files like webdataset's own iterator, but only up to a maximum size."""
    with tarfile.open(fileobj=stream, mode='r|*') as archive:
        for member in archive:
            # Otherwise the archive keeps all members in memory.
            archive.members = []
            if not member.isreg() or META.match(member.name) or not is_wanted(member.name):
                continue
            data: bytes | TooLarge = TooLarge(member.size)
            if member.size <= LARGEST:
                data = archive.extractfile(member).read()
            yield dict(fname=member.name, data=data, __url__=shard)


def is_wanted(name: str) -> bool:
    """Return whether neither a file nor a parent folder is hidden."""
    return not any(map(is_hidden, PurePosixPath(name).parts))
