"""Read images of all formats that Pillow opens, as uint8 (H, W, 3) RGB.

Every entry point uses :func:`read_image`, so that a file has the same pixels everywhere:

- gray, palette, 1-bit, CMYK, YCbCr, HSV and LAB become RGB; color profiles (ICC) are not applied
- 16-bit gray keeps its high byte, as Pillow does with 16-bit color; 32-bit integers and floats are
  refused, because no convention defines their white
- transparent pixels (an alpha channel, a transparent palette entry or color) are composed with a
  background, white by default, so that hidden colors stay hidden
- the EXIF orientation is applied
- of an animation, the first frame is read
- images with more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` are refused; Pillow only warns up to
  twice as many

``docs/guides/data.md`` has these rules as a table.
"""

import contextlib
import functools
import io
import os
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageColor, UnidentifiedImageError

from openmagvit2.errors import UserError

Source = str | os.PathLike | bytes | BinaryIO | Image.Image
Color = str | Sequence[int]

# Version of these rules in the keys of cached results; increase it when pixels change.
IMAGE_RULES = 2

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# TIFF's tag for the bits of a sample: 12-bit data is opened as I;16 with four empty bits.
BITS_PER_SAMPLE = 258


class UnreadableImage(UserError):
    """An image that cannot be read.

    Args:
        name: Name of the image.
        reason: Reason of the failure.
        remedy: What the user can do.
    """

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        super().__init__(f'Image {name} cannot be read: {reason}; {remedy}.')
        self.name, self.reason, self.remedy = name, reason, remedy

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self.reason, self.remedy)

    def with_way_out(self, way: str) -> UserError:
        """Return the same error with another remedy added."""
        return UserError(f'{str(self).removesuffix(".")}, or {way}.')


def read_image(source: Source, background: Color = 'white', name: str | None = None) -> np.ndarray:
    """Read an image as uint8 (H, W, 3), RGB; see :func:`read_picture`."""
    return np.array(read_picture(source, background, name))


def read_picture(
    source: Source, background: Color = 'white', name: str | None = None
) -> Image.Image:
    """Read an image as a PIL image of mode 'RGB', by the rules at the top of this file.

    Args:
        source: A path, the bytes of a file, an open binary file, or a PIL image.
        background: Color behind transparent pixels; see :func:`to_color`.
        name: Name of the image in errors; by default the path.

    Raises:
        UnreadableImage: The source is not an image, or a damaged, too large or unsupported one.
    """
    color = to_color(background)
    name = name or (os.fspath(source) if isinstance(source, (str, os.PathLike)) else 'in memory')
    try:
        image, orientation = _decode(source)
    except Exception as error:  # Pillow raises errors of many types
        raise UnreadableImage(name, *_why(error, source)) from error
    rgb = _to_rgb(image, color, name)
    return rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb


def to_color(background: Color) -> tuple[int, int, int]:
    """Return a color as red, green and blue from 0 to 255.

    Args:
        background: A name or a code such as ``'white'`` or ``'#808080'``, or three integers.

    Raises:
        UserError: ``background`` is not a color.
    """
    if isinstance(background, str):
        with contextlib.suppress(ValueError):
            return ImageColor.getrgb(background)[:3]
    elif isinstance(background, Sequence) and len(background) == 3:
        if all(isinstance(value, int) and 0 <= value <= 255 for value in background):
            return tuple(background)
    raise UserError(
        f'background={background!r} is not a color; use a name or a code such as white or '
        f'#808080, or three integers from 0 to 255.'
    )


def _decode(source: Source) -> tuple[Image.Image, int]:
    """Return the image with its pixels loaded, and its EXIF orientation."""
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    # An image of the caller stays open.
    opened = (
        contextlib.nullcontext(source) if isinstance(source, Image.Image) else Image.open(source)
    )
    with opened as image:
        limit = Image.MAX_IMAGE_PIXELS
        if limit and image.width * image.height > limit:
            raise Image.DecompressionBombError
        image.load()
        try:
            orientation = image.getexif().get(ORIENTATION, 1)
        except Exception:  # a damaged EXIF block does not affect the pixels
            orientation = 1
    return image, orientation


def _why(error: Exception, source: Source) -> tuple[str, str]:
    """Return the reason and the remedy of an error."""
    path = source if isinstance(source, (str, os.PathLike)) else None
    if isinstance(error, FileNotFoundError):
        return 'there is no such file', 'check the path'
    if path is not None and os.path.isdir(path):
        return 'it is a folder', 'name the images in it'
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        reason = f'it has more than {Image.MAX_IMAGE_PIXELS} pixels, as a decompression bomb has'
        return reason, 'make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS'
    remedy = 'replace or remove it'
    if isinstance(error, UnidentifiedImageError):
        if (source == b'') if path is None else os.path.getsize(path) == 0:
            return 'it is empty', remedy
        if (
            path is not None
            and os.fspath(path).lower().endswith('.avif')
            and 'AVIF' not in Image.OPEN
        ):
            return 'this Pillow does not support AVIF', 'install Pillow 11.3 or later'
        return 'no image format that Pillow knows', remedy
    return str(error) or type(error).__name__, remedy


def _to_rgb(image: Image.Image, color: tuple[int, int, int], name: str) -> Image.Image:
    if image.mode == 'F' or image.mode.startswith('I'):
        image = _eight_bits(image, name)
    if image.mode == 'LAB':
        return _lab_to_rgb(image)
    if image.mode in ('La', 'RGBa'):
        image = image.convert(image.mode.upper())
    if _is_transparent(image):
        image = image.convert('RGBA')
        canvas = Image.new('RGB', image.size, color)
        canvas.paste(image, mask=image)
        return canvas
    return image if image.mode == 'RGB' else image.convert('RGB')


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ('RGBA', 'LA', 'PA'):
        return True
    if image.mode == 'P' and image.palette and image.palette.mode.endswith('A'):
        return True
    return image.mode in ('1', 'L', 'P', 'RGB') and 'transparency' in image.info


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Convert 16-bit gray to 'L', or to 'LA' if one of its values is transparent."""
    # Some versions of Pillow open 16-bit PNG and PGM files as 'I'.
    sixteen = image.mode.startswith('I;16')
    if not sixteen and not (image.mode == 'I' and image.format in ('PNG', 'PPM')):
        kind = 'floating-point numbers' if image.mode == 'F' else '32-bit integers'
        reason = f'its pixels are {kind} (mode {image.mode}), which have no defined white'
        raise UnreadableImage(name, reason, 'save it with 8 or 16 bits')
    bits = getattr(image, 'tag_v2', {}).get(BITS_PER_SAMPLE, (16,))[0]
    pixels = np.asarray(image)
    gray = Image.fromarray((pixels >> (bits - 8)).astype(np.uint8))
    if isinstance(image.info.get('transparency'), int):
        opaque = pixels != image.info['transparency']
        gray.putalpha(Image.fromarray(255 * opaque.astype(np.uint8)))
    return gray


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    return ImageCms.applyTransform(image, _lab_transform())


@functools.cache
def _lab_transform():
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB')
    return ImageCms.buildTransform(lab, srgb, 'LAB', 'RGB')
