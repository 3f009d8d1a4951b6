"""Data sets and transforms: counts, labels, and randomness by (seed, epoch, index)."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms as tv

from openmagvit2.datasets import FashionMNIST, ImageFolder, ImageList, ImageNet
from openmagvit2.registry import TRANSFORMS


@pytest.fixture
def imagenet(tmp_path):
    rng = np.random.default_rng(0)
    for split, name in (('train', 'n02'), ('train', 'n01'), ('val', 'n01')):
        folder = tmp_path / split / name
        folder.mkdir(parents=True)
        for i in range(2):
            Image.fromarray(rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)).save(folder / f'{i}.png')
    (tmp_path / 'train' / 'n01' / 'n06596364_9591.JPEG').write_bytes(b'')
    return tmp_path


@pytest.mark.parametrize(('split', 'each'), [('train', 1000), ('test', 200)])
def test_embedded_is_balanced(split, each):
    data = FashionMNIST(split=split)
    assert np.bincount(data.labels).tolist() == [each] * 10
    assert data[0]['image'].shape == (3, 28, 28)


def test_first_images_are_balanced_and_padded():
    data = FashionMNIST(num_images=30, pipeline=[dict(type='Pad', size=32)])
    assert np.bincount(data.labels).tolist() == [3] * 10
    image = data[4]['image']
    assert image.shape == (3, 32, 32) and image[:, :2].sum() == 0 and image.sum() == 3 * int(data.images[4].astype(int).sum())


def test_imagenet_layout(imagenet):
    data = ImageNet(data_root=str(imagenet))
    assert data.classes == ['n01', 'n02'] and [label for _, label in data.samples] == [0, 0, 1, 1]
    assert len(ImageFolder(data_root=str(imagenet / 'val'))) == 2


def test_list_file(imagenet):
    listing = imagenet / 'list.txt'
    listing.write_text('train/n01/0.png 7\nval/n01/1.png\n')
    assert [label for _, label in ImageList(list_file=str(listing), data_root=str(imagenet)).samples] == [7, 0]
    listing.write_text('train/nothing.png\n')
    with pytest.raises(ValueError, match='line 1'):
        ImageList(list_file=str(listing), data_root=str(imagenet))


def test_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match='OPENMAGVIT2_DATA'):
        ImageNet(data_root=str(tmp_path / 'none'))


def test_broken_image_is_named(imagenet):
    broken = imagenet / 'val' / 'n01' / '0.png'
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ValueError, match='0.png'):
        ImageFolder(data_root=str(imagenet / 'val'))[0]


def test_random_transforms_depend_on_seed_epoch_and_index():
    pipeline = [dict(type='RandomCrop', size=20), dict(type='RandomFlip')]
    first, second = FashionMNIST(pipeline=pipeline, seed=3), FashionMNIST(pipeline=pipeline, seed=3)
    first[5], first[6]
    assert first[7, 2]['image'].equal(second[7, 2]['image'])
    assert any(not first[7, e]['image'].equal(first[7, 0]['image']) for e in range(1, 4))
    numbers = [first[i, epoch]['uniform'] for i in range(100) for epoch in range(2)]
    assert len(set(numbers)) == 200 and 70 < sum(number < 0.5 for number in numbers) < 130
    assert second[7, 1]['uniform'] == first[7, 1]['uniform']


def test_flip_mirrors_half_of_the_images():
    plain, flipped = FashionMNIST(), FashionMNIST(pipeline=[dict(type='RandomFlip')])
    kinds = []
    for i in range(60):
        a, b = plain[i]['image'], flipped[i]['image']
        assert b.equal(a) or b.equal(a.flip(-1))
        kinds.append(b.equal(a))
    assert 15 < sum(kinds) < 45


@pytest.mark.parametrize('shape', [(70, 45), (33, 90), (31, 31)])
def test_resize_and_centre_crop_equal_torchvision(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    sample = TRANSFORMS.build(dict(type='Resize', size=32))(dict(image=image))
    ours = TRANSFORMS.build(dict(type='CenterCrop', size=32))(sample)['image']
    theirs = tv.Compose([tv.Resize(32), tv.CenterCrop(32)])(Image.fromarray(image))
    assert np.array_equal(ours, np.asarray(theirs))


def test_crop_of_a_small_image():
    with pytest.raises(ValueError, match='put Resize'):
        FashionMNIST(pipeline=[dict(type='CenterCrop', size=64)])[0]
