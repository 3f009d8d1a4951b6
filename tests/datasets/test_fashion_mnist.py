"""Fashion-MNIST: the embedded images, and external files with their mistakes."""

import gzip

import numpy as np
import pytest

from openmagvit2.datasets import FashionMNIST


@pytest.mark.parametrize(('split', 'each'), [('train', 1000), ('test', 200)])
def test_embedded_is_balanced(split, each):
    data = FashionMNIST(split=split)
    assert np.bincount(data.labels).tolist() == [each] * 10
    assert data[0]['image'].shape == (3, 28, 28)


def test_first_images_are_balanced_and_padded():
    data = FashionMNIST(num_images=30, pipeline=[dict(type='Pad', size=32)])
    assert np.bincount(data.labels).tolist() == [3] * 10
    image = data[4]['image']
    assert image.shape == (3, 32, 32)
    assert image[:, :2].sum() == 0
    assert image.sum() == 3 * int(data.images[4].astype(int).sum())


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, '>u4').tobytes() + array.tobytes()


def test_external_files(tmp_path):
    rng = np.random.default_rng(2)
    images, labels = (
        rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        np.array([3, 0, 9, 3, 1, 0], np.uint8),
    )
    (tmp_path / 'FashionMNIST' / 'raw').mkdir(parents=True)
    (tmp_path / 'FashionMNIST' / 'raw' / 't10k-images-idx3-ubyte').write_bytes(idx(images))
    (tmp_path / 't10k-labels-idx1-ubyte.gz').write_bytes(gzip.compress(idx(labels)))
    data = FashionMNIST(data_root=str(tmp_path), split='test')
    assert [data[i]['label'] for i in range(6)] == labels.tolist()
    assert all(
        np.array_equal(data[i]['image'][channel], images[i])
        for i in range(6)
        for channel in range(3)
    )
    with pytest.raises(ValueError, match='no train-images-idx3-ubyte.gz'):
        FashionMNIST(data_root=str(tmp_path))


@pytest.mark.parametrize(
    ('images', 'labels', 'text'),
    [
        (
            idx(np.zeros((2, 28, 28), np.uint8)),
            idx(np.zeros(3, np.uint8)),
            'contains 2 images and 3 labels of train',
        ),
        (
            idx(np.zeros((2, 28, 28), np.uint8))[:-1],
            b'',
            'train-images-idx3-ubyte should contain 1568 bytes of data, but contains 1567',
        ),
        (idx(np.zeros((2, 28, 28), np.uint8))[:9], b'', 'is not an idx file of bytes with 3 axes'),
        (idx(np.zeros((2, 32, 32), np.uint8)), b'', r'images of \[32, 32\] pixels'),
        (
            idx(np.zeros(2, np.uint8)),
            b'',
            'train-images-idx3-ubyte is not an idx file of bytes with 3 axes',
        ),
        (
            idx(np.zeros((2, 28, 28), np.uint8)),
            idx(np.zeros((2, 28, 28), np.uint8)),
            'train-labels-idx1-ubyte is not an idx file',
        ),
        (idx(np.zeros((2, 28, 28), np.uint8)), idx(np.array([0, 12], np.uint8)), 'the label 12'),
    ],
)
def test_wrong_external_files(tmp_path, images, labels, text):
    (tmp_path / 'train-images-idx3-ubyte').write_bytes(images)
    (tmp_path / 'train-labels-idx1-ubyte').write_bytes(labels)
    with pytest.raises(ValueError, match=text):
        FashionMNIST(data_root=str(tmp_path))


def test_truncated_zipped_file(tmp_path):
    (tmp_path / 'train-images-idx3-ubyte.gz').write_bytes(
        gzip.compress(idx(np.zeros((2, 28, 28), np.uint8)))[:-12]
    )
    with pytest.raises(ValueError, match='train-images-idx3-ubyte.gz cannot be read'):
        FashionMNIST(data_root=str(tmp_path))
