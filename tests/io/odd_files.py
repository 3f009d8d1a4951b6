"""Odd image files, with the pixels or the error message that docs/guides/data.md promises."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

HEIGHT, WIDTH = 6, 8
BASE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GRAY = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 5
ALPHA = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 5
ALPHA[0, 0], ALPHA[-1, -1] = 0, 255
FLAT = np.broadcast_to(np.array([200, 100, 50], np.uint8), BASE.shape)
WHITE = (255, 255, 255)


def over(color: np.ndarray, alpha: np.ndarray, background=WHITE) -> np.ndarray:
    """Compose with a background, by the definition of alpha compositing."""
    weight = alpha[..., None] / 255
    return np.round(color * weight + np.array(background) * (1 - weight))


def triple(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(height: int, width: int) -> bytes:
    """Return a PNG that announces many pixels but has none."""
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)), (b'IDAT', b'')]
    parts = [
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def turned(orientation: int) -> np.ndarray:
    """Return BASE as a camera stores it with this EXIF orientation."""
    mirrored = BASE.transpose(1, 0, 2)
    return {
        1: BASE,
        2: BASE[:, ::-1],
        3: np.rot90(BASE, 2),
        4: BASE[::-1],
        5: mirrored,
        6: np.rot90(BASE, 1),
        7: np.rot90(mirrored, 2),
        8: np.rot90(BASE, -1),
    }[orientation]


def with_exif(orientation: int, kind: str, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turned(orientation)))
    return encoded(stored, kind, exif=exif, **options)


def palette_image() -> tuple[Image.Image, np.ndarray]:
    """Return a palette image with four colors, and its pixels."""
    places = (np.arange(HEIGHT * WIDTH) % 4).reshape(HEIGHT, WIDTH).astype(np.uint8)
    image = Image.fromarray(places)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 255, 0, 0])
    return image, np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [255, 0, 0]])[places]


def readable() -> dict[str, tuple[bytes, np.ndarray, int]]:
    """Return content, pixels uint8 (H, W, 3) and their tolerance of each file, by name."""
    rgb, gray = Image.fromarray(BASE), Image.fromarray(GRAY)
    frames = [rgb, Image.fromarray(255 - BASE)]
    flat = Image.fromarray(FLAT)
    files: dict[str, tuple] = {
        'plain.png': (encoded(rgb, 'PNG'), BASE),
        'UPPER.PNG': (encoded(rgb, 'PNG'), BASE),
        'ünï [1] #%{}.Png': (encoded(rgb, 'PNG'), BASE),
        '日本 語.bmp': (encoded(rgb, 'BMP'), BASE),
        'grid.png': (encoded(rgb, 'PNG'), BASE),
        'b.jpg/inside.webp': (encoded(rgb, 'WEBP', lossless=True), BASE),
        'portable.ppm': (encoded(rgb, 'PPM'), BASE),
        'camera.jfif': (encoded(flat, 'JPEG', quality=95), FLAT, 3),
        'one pixel.tif': (encoded(rgb.crop((0, 0, 1, 1)), 'TIFF'), BASE[:1, :1]),
        'gray.png': (encoded(gray, 'PNG'), triple(GRAY)),
        'bits.png': (encoded(gray.point(lambda v: 255 * (v > 99), '1'), 'PNG'), None),
        'animated.gif': (encoded(frames[0], 'GIF', save_all=True, append_images=frames[1:]), None),
        'moving.apng': (encoded(rgb, 'PNG', save_all=True, append_images=frames[1:]), BASE),
        'played.webp': (
            encoded(rgb, 'WEBP', save_all=True, append_images=frames[1:], lossless=True),
            BASE,
        ),
    }
    files['bits.png'] = files['bits.png'][0], triple(255 * (GRAY > 99).astype(np.uint8))
    # A GIF has a palette, so write an image with a known one.
    mapped, colors = palette_image()
    files['animated.gif'] = (
        encoded(mapped, 'GIF', save_all=True, append_images=[mapped.transpose(0)]),
        colors,
    )
    return files | _with_16_bits() | _transparent() | _oriented() | _other_colors(flat)


def _with_16_bits() -> dict[str, tuple]:
    values = GRAY.astype(np.uint16) * 257
    sixteen = Image.fromarray(values)
    hidden = int(values[0, 0]), triple(GRAY).copy()
    hidden[1][0, 0] = WHITE
    big_endian = Image.frombytes('I;16B', (WIDTH, HEIGHT), values.astype('>u2').tobytes())
    return {
        'gray 16.png': (encoded(sixteen, 'PNG'), triple(GRAY)),
        'gray 16 little.tiff': (encoded(sixteen, 'TIFF'), triple(GRAY)),
        'gray 16 big.tiff': (encoded(big_endian, 'TIFF'), triple(GRAY)),
        'gray 16 color key.png': (encoded(sixteen, 'PNG', transparency=hidden[0]), hidden[1]),
    }


def _transparent() -> dict[str, tuple]:
    rgba = Image.fromarray(np.dstack([BASE, ALPHA]))
    la = Image.merge('LA', (Image.fromarray(GRAY), Image.fromarray(ALPHA)))
    mapped, colors = palette_image()
    entries = bytes([0, 128, 255, 255])
    alpha = np.array([0, 128, 255, 255])[np.asarray(mapped)]
    key = tuple(int(value) for value in BASE[2, 3])
    keyed, gray_keyed = BASE.copy(), triple(GRAY).copy()
    keyed[2, 3] = gray_keyed[0, 2] = WHITE
    one_hidden = np.where((np.asarray(mapped) == 3)[..., None], 255, colors)
    return {
        'rgba.png': (encoded(rgba, 'PNG'), over(BASE, ALPHA), 1),
        'alpha.tif': (encoded(rgba, 'TIFF'), over(BASE, ALPHA), 1),
        'gray alpha.png': (encoded(la, 'PNG'), over(triple(GRAY), ALPHA), 1),
        'palette alpha.png': (
            encoded(mapped, 'PNG', transparency=entries),
            over(colors, alpha),
            1,
        ),
        'palette key.gif': (encoded(mapped, 'GIF', transparency=3), one_hidden),
        'color key.png': (encoded(Image.fromarray(BASE), 'PNG', transparency=key), keyed),
        'gray key.png': (encoded(Image.fromarray(GRAY), 'PNG', transparency=10), gray_keyed),
    }


def _oriented() -> dict[str, tuple]:
    files = {f'turned {i}.png': (with_exif(i, 'PNG'), BASE) for i in range(1, 9)}
    damaged = PngImagePlugin.PngInfo()
    damaged.add(b'eXIf', b'no exif at all')
    return files | {
        'turned.tiff': (with_exif(6, 'TIFF'), BASE),
        'turned back.webp': (with_exif(8, 'WEBP', lossless=True), BASE),
        'damaged exif.png': (encoded(Image.fromarray(BASE), 'PNG', pnginfo=damaged), BASE),
    }


def _other_colors(flat: Image.Image) -> dict[str, tuple]:
    inks = np.broadcast_to(np.array([10, 120, 200, 40], np.uint8), (HEIGHT, WIDTH, 4))
    printed = np.round(
        (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    )
    cmyk = Image.fromarray(np.ascontiguousarray(inks), 'CMYK')
    lab = Image.new('LAB', (WIDTH, HEIGHT), (255, 128, 128))
    return {
        'inks.tif': (encoded(cmyk, 'TIFF'), printed, 1),
        # Pillow writes inverted values, as Adobe's programs do.
        'print.jpg': (encoded(cmyk, 'JPEG', quality=100), printed, 3),
        'luma.tif': (encoded(flat.convert('YCbCr'), 'TIFF'), FLAT, 2),
        'lab.tif': (encoded(lab, 'TIFF'), np.full_like(BASE, 255), 2),
    }


def refused() -> dict[str, tuple[bytes, str]]:
    """Return content and a part of the error message of each file, by name."""
    numbers = Image.fromarray(
        np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, -1)
    )
    integers = Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.int32).reshape(HEIGHT, WIDTH))
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg, png = (encoded(Image.fromarray(noise), kind) for kind in ('JPEG', 'PNG'))
    return {
        'float.tif': (encoded(numbers, 'TIFF'), 'floating-point numbers (mode F)'),
        'long.tif': (encoded(integers, 'TIFF'), '32-bit integers (mode I)'),
        'cut.jpg': (jpeg[: len(jpeg) // 2], 'truncated'),
        'cut too.png': (png[: len(png) // 2], ''),
        'bomb.png': (png_header(10_000, 10_000), 'more than 89478485 pixels'),
        'big bomb.png': (png_header(60_000, 60_000), 'more than 89478485 pixels'),
        'text.jpg': (b'<html>not found</html>', 'no image format that Pillow knows'),
        'empty.jpeg': (b'', 'it is empty'),
    }


# Files that are skipped although they are images.
HIDDEN = (
    '._plain.png',
    '.DS_Store.png',
    '.thumbnails/a.png',
    '@eaDir/a.jpg/SYNO.png',
    '__MACOSX/a.png',
    '.ipynb_checkpoints/a-checkpoint.png',
    'deep/.hidden/a.png',
    'notes.txt',
)


def write_files(folder: Path, files: dict[str, tuple]) -> None:
    for name, (content, *_) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
