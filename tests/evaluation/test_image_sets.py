"""Sets of images in an npz or a folder, including damaged ones."""

import io
import zipfile

import numpy as np
import pytest
from image_arrays import random_images, save_npz
from PIL import Image

from openmagvit2.evaluation.images import ImageSet


def test_sets_of_images_are_read_by_parts(tmp_path):
    images = random_images(10)
    for writer in (np.savez, np.savez_compressed):
        writer(tmp_path / 'x.npz', arr_0=images)
        assert np.array_equal(np.concatenate(list(ImageSet(tmp_path / 'x.npz').batches(3))), images)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f'{i}.png')
    folder = ImageSet(tmp_path)
    assert np.array_equal(np.concatenate(list(folder.batches(4))), images) and len(folder) == 10


def test_bad_sets_are_explained(tmp_path):
    np.savez(tmp_path / 'pickled.npz', arr_0=np.array([dict(a=1)], dtype=object))
    np.savez(tmp_path / 'float.npz', arr_0=np.zeros((2, 4, 4, 3)))
    np.savez(tmp_path / 'layout.npz', arr_0=np.zeros((2, 3, 4, 4), np.uint8))
    np.savez(tmp_path / 'name.npz', images=np.zeros((2, 4, 4, 3), np.uint8))
    (tmp_path / 'broken.npz').write_bytes(b'PK not a zip')
    (tmp_path / 'empty').mkdir()
    message = dict(
        pickled='pickled objects',
        float='must be uint8',
        layout='must be uint8',
        name='no arr_0',
        broken='not a readable npz',
    )
    for name, text in message.items():
        with pytest.raises(ValueError, match=text):
            ImageSet(tmp_path / f'{name}.npz')
    with pytest.raises(ValueError, match='holds no images'):
        ImageSet(tmp_path / 'empty')
    with pytest.raises(ValueError, match='does not exist'):
        ImageSet(tmp_path / 'nothing.npz')
    short = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        short, dict(descr='|u1', fortran_order=False, shape=(9, 4, 4, 3))
    )
    with zipfile.ZipFile(tmp_path / 'short.npz', 'w') as archive:
        archive.writestr('arr_0.npy', short.getvalue() + bytes(100))
    with pytest.raises(ValueError, match='ends after 2 of 9 images'):
        list(ImageSet(tmp_path / 'short.npz').batches(4))


def test_a_damaged_npz_and_a_truncated_jpeg(tmp_path):
    np.savez_compressed(
        tmp_path / 'x.npz', arr_0=np.zeros((50, 16, 16, 3), np.uint8) + random_images(1)
    )
    content = bytearray((tmp_path / 'x.npz').read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / 'x.npz').write_bytes(content)
    with pytest.raises(ValueError, match='x.npz is (damaged|not a readable npz)'):
        list(ImageSet(tmp_path / 'x.npz').batches(7))
    for i, image in enumerate(random_images(5, 64)):
        Image.fromarray(image).save(tmp_path / f'{i}.jpg')
    whole = (tmp_path / '2.jpg').read_bytes()
    (tmp_path / '2.jpg').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match='2.jpg cannot be read: image file is truncated'):
        list(ImageSet(tmp_path).batches(2))
    lenient = ImageSet(tmp_path, skip_broken=True)
    for _ in range(2):
        assert sum(map(len, lenient.batches(2))) == 4
        assert lenient.skipped == [str(tmp_path / '2.jpg')]
    for i in range(5):
        (tmp_path / f'{i}.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='none of its 5 images can be read'):
        list(ImageSet(tmp_path, skip_broken=True).batches(2))


def test_broken_and_odd_files_of_a_folder(tmp_path):
    for i, image in enumerate(random_images(4)):
        Image.fromarray(image).save(tmp_path / f'{i}.png')
    (tmp_path / '2.png').write_bytes((tmp_path / '2.png').read_bytes()[:60])
    with pytest.raises(ValueError, match='2.png cannot be read'):
        list(ImageSet(tmp_path).batches(2))
    lenient = ImageSet(tmp_path, skip_broken=True)
    assert sum(map(len, lenient.batches(2))) == 3 and lenient.skipped == [str(tmp_path / '2.png')]
    Image.fromarray(random_images(1, 20)[0]).save(tmp_path / '3.png')
    with pytest.raises(ValueError, match=r'3.png is 20x20, but the images before it are 16x16'):
        list(ImageSet(tmp_path, skip_broken=True).batches(2))


def test_names_of_pixels_follow_the_background(tmp_path):
    pixels = np.dstack([random_images(1)[0], np.full((16, 16), 100, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    black, white = (ImageSet(tmp_path, background=name) for name in ('black', 'white'))
    assert black.hash() == white.hash() and black.key() != white.key()
    assert white.key() == ImageSet(tmp_path, background=(255, 255, 255)).key()
    images = save_npz(tmp_path / 'x.npz', random_images(2))
    assert ImageSet(images, background='black').key() == ImageSet(images).hash()


def test_links_to_nothing_are_broken_files(tmp_path):
    Image.fromarray(random_images(1)[0]).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').symlink_to(tmp_path / 'gone.png')
    with pytest.raises(ValueError, match='b.png cannot be read: No such file.*with --skip-broken'):
        ImageSet(tmp_path).hash()
    lenient = ImageSet(tmp_path, skip_broken=True)
    assert len(lenient.hash()) == 64 and sum(map(len, lenient.batches(2))) == 1
    assert lenient.skipped == [str(tmp_path / 'b.png')]
