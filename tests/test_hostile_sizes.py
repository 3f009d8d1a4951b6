"""Files that claim, or unpack to, more than the memory: the table of SECURITY.md."""

import gzip
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch

from openmagvit2.apis.images import to_list
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.errors import UserError
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.statistics_files import read_statistics


@pytest.mark.parametrize('ending', ['pth', 'ckpt'])
def test_a_checkpoint_that_unpacks_to_more(tmp_path, ending):
    """A thousand times its size; torch.save does not compress."""
    torch.save(dict(state_dict=dict(a=torch.zeros(10_000_000))), tmp_path / 'plain.pth')
    path = tmp_path / f'a.{ending}'
    with (
        zipfile.ZipFile(tmp_path / 'plain.pth') as plain,
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert path.stat().st_size < 50_000
    with pytest.raises(UserError, match=f'a.{ending} cannot be read safely: .* is compressed'):
        read_checkpoint(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b'\0'))
        + chunk(b'IEND', b'')
    )


def test_an_image_that_would_fill_the_memory(tmp_path):
    (tmp_path / 'a.png').write_bytes(png_header(60_000, 60_000))
    with pytest.raises(
        UserError, match='a.png cannot be read: .* pixels, as a decompression bomb has'
    ):
        to_list(str(tmp_path / 'a.png'))


def test_images_of_an_npz_that_would_fill_the_memory(tmp_path):
    """A batch of one would be 10.8 GB."""
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        with archive.open('arr_0.npy', 'w') as file:
            header = dict(descr='|u1', fortran_order=False, shape=(1, 60_000, 60_000, 3))
            np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(UserError, match='a.npz: images of 60000x60000 have more than'):
        ImageSet(tmp_path / 'a.npz')


def test_an_npz_that_says_it_is_large(tmp_path):
    """A header of a terabyte over a few bytes: nothing of that size is reserved."""
    with (
        zipfile.ZipFile(tmp_path / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as archive,
        archive.open('arr_0.npy', 'w') as file,
    ):
        header = dict(descr='|u1', fortran_order=False, shape=(10_000_000, 256, 256, 3))
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b'\0' * 1000)
    images = ImageSet(tmp_path / 'a.npz')
    with pytest.raises(UserError, match='a.npz'):
        next(images.batches(4))


def test_statistics_that_say_they_are_large(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (('mu', (2,)), ('sigma', (10**6, 10**6))):
            with archive.open(f'{name}.npy', 'w') as file:
                np.lib.format.write_array_header_1_0(
                    file, dict(descr='<f8', fortran_order=False, shape=shape)
                )
                file.write(b'\0' * 16)
    with pytest.raises(UserError, match=r'a.npz: sigma.npy has the shape \(1000000, 1000000\)'):
        read_statistics(tmp_path / 'a.npz', 2)


def test_a_compressed_data_file_of_any_length(tmp_path, monkeypatch):
    from openmagvit2.datasets import fashion_mnist

    for name, axes in (('images-idx3', (28, 28)), ('labels-idx1', ())):
        head = bytes([0, 0, 8, 1 + len(axes)]) + struct.pack(f'>{1 + len(axes)}I', 9, *axes)
        path = tmp_path / f'train-{name}-ubyte.gz'
        path.write_bytes(gzip.compress(head + bytes(5_000_000)))
    monkeypatch.setattr(fashion_mnist, 'LARGEST', 1_000_000)
    with pytest.raises(UserError, match='should contain 7056 bytes of data, but contains 999984'):
        fashion_mnist.FashionMNIST(data_root=str(tmp_path))
