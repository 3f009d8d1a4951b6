"""Modes, colors and errors of the image reader that the odd files do not cover."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from openmagvit2.errors import UserError
from openmagvit2.io import UnreadableImage, read_image, to_color

# sRGB of CIE L*a*b* under D50 by its formula, Bradford-adapted: mid gray, and a red.
LAB = {(136, 128, 128): (128, 128, 128), (136, 208, 195): (255, 0, 13)}


@pytest.mark.parametrize(
    ('mode', 'color', 'expected'),
    [
        ('1', 1, 255),
        ('L', 77, 77),
        ('LA', (77, 0), 255),
        ('La', (0, 0), 255),
        ('La', (77, 255), 77),
        ('RGBa', (0, 0, 0, 0), 255),
        ('RGBa', (10, 10, 10, 255), 10),
        ('RGBX', (10, 10, 10, 0), 10),
        ('HSV', (0, 0, 99), 99),
        ('YCbCr', (99, 128, 128), 99),
        ('CMYK', (0, 0, 0, 155), 100),
        ('I;16', 20000, 20000 >> 8),
        ('I;16B', 20000, 20000 >> 8),
    ],
)
def test_modes_of_open_images(mode, color, expected):
    image = read_image(Image.new(mode, (3, 2), color))
    assert image.shape == (2, 3, 3) and image.dtype == np.uint8 and (image == expected).all()


@pytest.mark.parametrize(('lab', 'rgb'), LAB.items())
def test_lab(lab, rgb):
    (pixel,) = read_image(Image.new('LAB', (1, 1), lab))[0]
    assert np.abs(pixel.astype(int) - rgb).max() <= 6


def test_16_bits_keep_the_high_byte_of_every_value():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(Image.fromarray(ramp))
    assert np.array_equal(image[..., 0], ramp // 256) and image.mean() == 127.5


def test_12_bits_of_a_tiff_are_scaled(tmp_path):
    Image.fromarray(np.full((4, 4), 2048, np.uint16)).save(tmp_path / 'x.tif')
    image = Image.open(tmp_path / 'x.tif')
    image.load()
    # Pillow opens a camera's 12-bit file like this.
    image.tag_v2[258] = (12,)
    assert (read_image(image) == 128).all()


def test_integers_are_16_bits_where_the_format_has_no_more(tmp_path):
    """Older versions of Pillow open PNG like this, and all versions open a plain PGM like this."""
    (tmp_path / 'x.pgm').write_bytes(b'P5 2 1 65535\n' + bytes([0, 0, 200, 7]))
    assert read_image(tmp_path / 'x.pgm')[0, :, 0].tolist() == [0, 200]
    with pytest.raises(UnreadableImage, match='32-bit integers'):
        read_image(Image.new('I', (2, 2), 300))


def test_a_callers_image_stays_open_and_unchanged(tmp_path):
    stored = Image.new('RGB', (4, 2), (9, 8, 7))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / 'x.png', exif=exif)
    with Image.open(tmp_path / 'x.png') as image:
        assert read_image(image).shape == (4, 2, 3)
        assert image.size == (4, 2) and image.getpixel((0, 0)) == (9, 8, 7)


@pytest.mark.parametrize(
    ('background', 'color'),
    [
        ('white', (255, 255, 255)),
        ('#804020', (128, 64, 32)),
        ([1, 2, 3], (1, 2, 3)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_colors(background, color):
    assert to_color(background) == color


@pytest.mark.parametrize('background', ['whitte', '', (1, 2), (1, 2, 256), (0.5, 0, 0), None, 7])
def test_what_is_no_color(background):
    with pytest.raises(UserError, match='background=.* is not a color; use a name or a code'):
        to_color(background)


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('no/such.png', 'Image no/such.png cannot be read: there is no such file; check the path.'),
        ('.', 'Image . cannot be read: it is a folder; name the images in it.'),
        (b'', 'Image in memory cannot be read: it is empty; replace or remove it.'),
        (io.BytesIO(b'text'), 'no image format that Pillow knows'),
        ('a\0b.png', 'null'),
    ],
)
def test_mistakes_are_one_sentence(source, message):
    with pytest.raises(UnreadableImage) as caught:
        read_image(source)
    assert message in str(caught.value)


def test_a_format_that_this_pillow_lacks(tmp_path, monkeypatch):
    Image.init()
    monkeypatch.delitem(Image.OPEN, 'AVIF', raising=False)
    monkeypatch.setattr(Image, 'ID', [name for name in Image.ID if name != 'AVIF'])
    (tmp_path / 'x.AVIF').write_bytes(b'\0\0\0\x20ftypavif')
    with pytest.raises(UnreadableImage, match='not support AVIF; install Pillow 11.3 or later'):
        read_image(tmp_path / 'x.AVIF')


def test_the_error_of_a_worker_process_comes_back():
    error = UnreadableImage('x.png', 'it is empty', 'replace or remove it')
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.reason == 'it is empty'


def test_huge_images_are_refused_by_one_limit(monkeypatch):
    image = Image.new('1', (20, 10))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 199)
    with pytest.raises(UnreadableImage, match='more than 199 pixels.*; make it smaller, or raise'):
        read_image(image)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 200)
    assert read_image(image).shape == (10, 20, 3)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    assert read_image(image).shape == (10, 20, 3)
