"""A set of images to evaluate, from an npz or a folder."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from openmagvit2.checkpoint.hashing import chunks, digest
from openmagvit2.errors import UserError
from openmagvit2.io import IMAGE_RULES, Color, UnreadableImage, read_image, to_color, usable
from openmagvit2.io.image_files import find_images


class ImageSet:
    """Images uint8 (B, H, W, 3) in batches, with constant memory.

    Args:
        path: An npz with ``arr_0`` uint8 (N, H, W, 3), or a folder of images of one size.
        skip_broken: Skip files of a folder that cannot be read, and list them in ``skipped``.
        background: Color behind transparent pixels of a folder's files: a name, a code, or three
            numbers up to 255.

    Raises:
        UserError: The file does not exist, has another layout or type, or contains pickled objects;
            or the folder is empty.
    """

    def __init__(
        self, path: str | Path, skip_broken: bool = False, background: Color = 'white'
    ) -> None:
        self.path, self.skip_broken = Path(path), skip_broken
        self.background = to_color(background)
        self.name = self.path.name
        self.skipped: list[str] = []
        # (H, W); for a folder, known after the first image is read.
        self.size: tuple[int, int] | None = None
        self._hash: str | None = None
        self.files: list[Path] = []
        if usable(self.path).is_dir():
            self.files = find_images(self.path)
            self.count = len(self.files)
        else:
            self.shape = self._header()
            self.count, self.size = self.shape[0], self.shape[1:3]

    def __len__(self) -> int:
        return self.count

    def hash(self) -> str:
        """Return the SHA-256 of the file, or of the names and contents of a folder's images."""
        self._hash = self._hash or digest(self._content())
        return self._hash

    def key(self) -> str:
        """Return a hash of the pixels: of the content, and for a folder also of how it is read."""
        if not self.files:
            return self.hash()
        return digest([f'{self.hash()} {IMAGE_RULES} {self.background}'.encode()])

    def _content(self) -> Iterator[bytes]:
        for file in self.files or [self.path]:
            # Python represents names that are not UTF-8 with surrogates.
            name = file.relative_to(self.path).as_posix() if self.files else ''
            yield name.encode('utf-8', 'surrogateescape')
            try:
                yield from chunks(file)
            except OSError as error:
                if not self.skip_broken:
                    way = 'remove it, or leave such files out with --skip-broken'
                    raise UserError(f'{file} cannot be read: {error.strerror}; {way}.') from None

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield batches of images in order.

        Raises:
            UserError: A file of a folder is broken or differs in size from the first, or all are
                broken; or the npz is damaged or truncated.
        """
        self.skipped = []
        if self.files:
            yield from self._from_files(size)
            if len(self.skipped) == self.count:
                raise UserError(f'{self.path}: none of its {self.count} images can be read.')
            return
        try:
            yield from self._from_npz(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise UserError(f'{self.path} is damaged: {error}') from None

    def _header(self) -> tuple[int, ...]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = set(archive.namelist())
                with archive.open('arr_0.npy') as member:
                    shape, fortran, dtype = read_header(member)
        except FileNotFoundError:
            raise UserError(f'{self.path} does not exist.') from None
        except KeyError:
            if {'mu.npy', 'sigma.npy'} <= names:
                raise UserError(
                    f'{self.path} has statistics (mu, sigma), but images are needed (arr_0).'
                ) from None
            raise UserError(
                f'{self.path} has no arr_0, the array of the images (uint8, N x H x W x 3).'
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise UserError(f'{self.path} is not a readable npz: {error}') from None
        if dtype.hasobject:
            raise UserError(
                f'{self.path}: arr_0 holds pickled objects, which are not read; save it as uint8.'
            )
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or fortran or not shape[0]:
            raise UserError(f'{self.path}: arr_0 must be uint8 (N, H, W, 3), got {dtype} {shape}.')
        # As for image files: a small npz can unpack to images that fill the memory.
        if Image.MAX_IMAGE_PIXELS and shape[1] * shape[2] > Image.MAX_IMAGE_PIXELS:
            raise UserError(
                f'{self.path}: images of {shape[1]}x{shape[2]} have more than '
                f'{Image.MAX_IMAGE_PIXELS} pixels; make them smaller, or raise '
                f'PIL.Image.MAX_IMAGE_PIXELS.'
            )
        return shape

    def _from_npz(self, size: int) -> Iterator[np.ndarray]:
        count, *image = self.shape
        length = int(np.prod(image))
        with zipfile.ZipFile(self.path) as archive, archive.open('arr_0.npy') as member:
            read_header(member)
            for start in range(0, count, size):
                rows = min(size, count - start)
                data = member.read(rows * length)
                if len(data) != rows * length:
                    raise UserError(
                        f'{self.path} ends after {start + len(data) // length} of {count} images.'
                    )
                yield np.frombuffer(data, np.uint8).reshape(rows, *image)

    def _from_files(self, size: int) -> Iterator[np.ndarray]:
        batch: list[np.ndarray] = []
        first: tuple[int, ...] | None = None
        for file in self.files:
            try:
                image = read_image(file, self.background)
            except UnreadableImage as error:
                if not self.skip_broken:
                    raise error.with_way_out('leave such files out with --skip-broken') from None
                self.skipped.append(str(file))
                continue
            first = first or image.shape
            self.size = first[:2]
            if image.shape != first:
                raise UserError(
                    f'{file} is {image.shape[0]}x{image.shape[1]}, but the images before it are '
                    f'{first[0]}x{first[1]}; give images of one size.'
                )
            batch.append(image)
            if len(batch) == size:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def read_header(member) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, Fortran order and type of an npy stream, without its data."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)
