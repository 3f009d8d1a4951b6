"""Data sets and transforms: counts, labels, and randomness by (seed, epoch, index)."""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms as tv
from torchvision.datasets import ImageFolder as ImageFolderOfTorchvision

from openmagvit2.datasets import Coco, FashionMNIST, ImageFolder, ImageList, ImageNet, files, images
from openmagvit2.errors import UserError
from openmagvit2.registry import TRANSFORMS


@pytest.fixture
def imagenet(tmp_path):
    rng = np.random.default_rng(0)
    for split, name in (('train', 'n02'), ('train', 'n01'), ('val', 'n01')):
        folder = tmp_path / split / name
        folder.mkdir(parents=True)
        for i in range(2):
            Image.fromarray(rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)).save(
                folder / f'{i}.png'
            )
    (tmp_path / 'train' / 'n01' / 'n06596364_9591.JPEG').write_bytes(b'')
    return tmp_path


def test_imagenet_layout(imagenet):
    data = ImageNet(data_root=str(imagenet))
    assert data.classes == ['n01', 'n02'] and [label for _, label in data.samples] == [0, 0, 1, 1]
    assert len(ImageFolder(data_root=str(imagenet / 'val'))) == 2


def test_excluded_file_counts_in_validation(imagenet):
    (imagenet / 'val' / 'n01' / 'n06596364_9591.JPEG').write_bytes(
        (imagenet / 'val' / 'n01' / '0.png').read_bytes()
    )
    names = [
        [path.name for path, _ in ImageNet(data_root=str(imagenet), split=split).samples]
        for split in ('train', 'val')
    ]
    assert names == [['0.png', '1.png'] * 2, ['0.png', '1.png', 'n06596364_9591.JPEG']]


def test_coco_layout(tmp_path):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'val2017').mkdir()
    for number in (30, 7, 112):
        Image.fromarray(np.full((9, 8, 3), number, np.uint8)).save(
            tmp_path / 'val2017' / f'{number:012d}.png'
        )
    data = Coco(data_root=str(tmp_path))
    assert [(int(data[i]['image'][0, 0, 0]), data[i]['label']) for i in range(len(data))] == [
        (7, -1),
        (30, -1),
        (112, -1),
    ]
    message = (
        'train2017 does not exist; put the images of COCO train2017 there.*or another `split` there'
    )
    with pytest.raises(ValueError, match=message):
        Coco(data_root=str(tmp_path), split='train2017')


def test_pattern(imagenet):
    assert [
        path.name for path, _ in ImageFolder(data_root=str(imagenet), pattern='val/*1.png').samples
    ] == ['1.png']
    with pytest.raises(ValueError, match="no images that match 'test"):
        ImageFolder(data_root=str(imagenet), pattern='test*')


def test_folders_without_images(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        images, 'print_log', lambda text, logger, level: logged.append((text, level))
    )
    (tmp_path / 'val2017' / 'n02').mkdir(parents=True)
    (tmp_path / 'val2017' / 'n01').mkdir()
    (tmp_path / 'val2017' / 'readme.txt').write_text('none')
    for data, arguments in ((ImageFolder, {}), (Coco, {}), (ImageNet, dict(split='val2017'))):
        with pytest.raises(ValueError, match='(holds no images|has no class folders)'):
            data(data_root=str(tmp_path), **arguments)
    Image.new('RGB', (4, 4)).save(tmp_path / 'val2017' / 'n02' / '0.png')
    assert ImageNet(data_root=str(tmp_path), split='val2017').samples[0][1] == 1
    assert logged[0][0].endswith('1 of 2 folders hold no images and count as classes: n01')
    assert logged[0][1] == logging.WARNING


def test_list_file(imagenet):
    listing = imagenet / 'list.txt'
    (imagenet / 'a name.png').write_bytes((imagenet / 'val' / 'n01' / '0.png').read_bytes())
    listing.write_text('train/n01/0.png 7\n\nval/n01/0.png\t12\na name.png  3\na name.png -1\n')
    data = ImageList(list_file=str(listing), data_root=str(imagenet))
    assert [label for _, label in data.samples] == [7, 12, 3, -1] and data.num_classes == 13
    assert [path.name for path, _ in data.samples[1:3]] == ['0.png', 'a name.png']
    listing.write_text('val/n01/1.png\n' + ''.join(f'train/{i}.png\n' for i in range(5)))
    message = (
        r'names 5 files that do not exist \(line 2: .*0.png, line 3: .*1.png, line 4: '
        r'.*2.png, …\)'
    )
    with pytest.raises(ValueError, match=message):
        ImageList(list_file=str(listing), data_root=str(imagenet))


@pytest.mark.parametrize(
    'content',
    [
        b'\xef\xbb\xbfa\xc3\xa9.png\nb.png\n',
        b'a\xc3\xa9.png\r\nb.png\r\n',
        b'a\xc3\xa9.png   \n  b.png\t\n\n   \n',
        b'a\xc3\xa9.png\rb.png',
    ],
)
@pytest.mark.parametrize('labels', [(), (4, 0)])
def test_lists_of_every_editor(tmp_path, content, labels):
    for name in ('aé.png', 'b.png'):
        Image.new('RGB', (4, 4)).save(tmp_path / name)
    for label in labels:
        content = content.replace(b'.png', f'._png {label}'.encode(), 1)
    (tmp_path / 'list.txt').write_bytes(content.replace(b'._png', b'.png'))
    data = ImageList(list_file=str(tmp_path / 'list.txt'), data_root=str(tmp_path))
    expected = list(labels) or [-1, -1]
    assert [(path.name, label) for path, label in data.samples] == list(
        zip(['aé.png', 'b.png'], expected, strict=True)
    )
    assert data.num_classes == (5 if labels else None)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'a.png 3\n\nb.png\na.png 5\n', r'list.txt, line 3 has no label and line 1 has a label'),
        (b'a.png\nb.png\na.png 5\n', r'list.txt, line 3 has a label and line 1 has none'),
        ('a.png\nä.png\n'.encode('latin-1'), 'list.txt, line 2: this is not UTF-8; save'),
        ('a.png\nb.png\n'.encode('utf-16'), 'list.txt, line 1: this is not UTF-8; save'),
        ('a.png\nb.png\n'.encode('utf-16-be'), 'list.txt, line 1: this is not UTF-8; save'),
        (b'a.png 0\nb.png 9223372036854775808\n', 'list.txt, line 2: 92.*08 is not a class'),
        (b' \n', 'list.txt names no image'),
    ],
)
def test_mistakes_in_lists(tmp_path, content, message):
    for name in ('a.png', 'b.png'):
        Image.new('RGB', (4, 4)).save(tmp_path / name)
    (tmp_path / 'list.txt').write_bytes(content)
    with pytest.raises(UserError, match=message):
        ImageList(list_file=str(tmp_path / 'list.txt'), data_root=str(tmp_path))


def test_what_is_known_of_classes(imagenet):
    assert ImageNet(data_root=str(imagenet)).num_classes == 2
    assert FashionMNIST(num_images=10).num_classes == 10
    folder = ImageFolder(data_root=str(imagenet / 'val'))
    assert folder.num_classes is None and folder.classes is None and folder[0]['label'] == -1


def test_class_folders_are_ranked_as_torchvision_ranks_them(tmp_path):
    for name in ('2', '11', '0', '10', '1', '.ipynb_checkpoints', 'B', 'a'):
        (tmp_path / 'train' / name / 'part').mkdir(parents=True)
        Image.new('RGB', (4, 4)).save(tmp_path / 'train' / name / 'part' / 'x.jpg')
    (tmp_path / 'elsewhere').mkdir()
    Image.new('RGB', (4, 4)).save(tmp_path / 'elsewhere' / 'y.jpg')
    (tmp_path / 'train' / 'linked').symlink_to(tmp_path / 'elsewhere')
    data = ImageNet(data_root=str(tmp_path))
    assert data.classes == ['0', '1', '10', '11', '2', 'B', 'a', 'linked']
    shutil.rmtree(tmp_path / 'train' / '.ipynb_checkpoints')
    theirs = ImageFolderOfTorchvision(tmp_path / 'train')
    assert [(str(path), label) for path, label in data.samples] == theirs.samples


def test_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match='OPENMAGVIT2_DATA'):
        ImageNet(data_root=str(tmp_path / 'none'))


def photograph(path, size):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(
        np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    ).save(path)


@pytest.fixture
def broken(tmp_path):
    """Five JPEGs of 61 to 65 pixels; the third is truncated, and the fourth is not an image."""
    for i in range(5):
        photograph(tmp_path / 'broken' / f'{i}.jpg', 61 + i)
    cut = (tmp_path / 'broken' / '2.jpg').read_bytes()
    (tmp_path / 'broken' / '2.jpg').write_bytes(cut[: len(cut) // 2])
    (tmp_path / 'broken' / '3.jpg').write_text('<html>')
    return tmp_path / 'broken'


def test_broken_image_is_named(broken, monkeypatch):
    data = ImageFolder(data_root=str(broken))
    assert len(data) == 5
    for i, reason in ((2, 'truncated'), (3, 'no image format')):
        message = f"{i}.jpg cannot be read: .*{reason}.*, or set the data set's on_error='skip'"
        with pytest.raises(ValueError, match=message):
            data[i]
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)
    with pytest.raises(ValueError, match='0.jpg cannot be read: .*decompression bomb'):
        data[0]


def test_broken_images_are_left_out_counted_and_listed(broken, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        files, 'print_log', lambda text, logger, level: logged.append((text, level))
    )
    data = ImageFolder(data_root=str(broken), on_error='skip')
    assert [data[i]['image'].shape[1] for i in range(len(data))] == [61, 62, 65]
    ((text, level),) = logged
    assert 'leaves out 2 of 5 images' in text
    assert f'\n  {broken / "2.jpg"}: ' in text
    assert '3.jpg: ' in text
    assert '4.jpg' not in text
    assert level == logging.WARNING
    for i in (0, 1, 4):
        (broken / f'{i}.jpg').unlink()
    with pytest.raises(ValueError, match='None of the 2 images can be read, the first is .*2.jpg'):
        ImageFolder(data_root=str(broken), on_error='skip')
    with pytest.raises(ValueError, match="on_error must be one of raise, skip, got 'ignore'"):
        ImageFolder(data_root=str(broken), on_error='ignore')


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
def test_resize_and_center_crop_equal_torchvision(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    sample = TRANSFORMS.build(dict(type='Resize', size=32))(dict(image=image))
    ours = TRANSFORMS.build(dict(type='CenterCrop', size=32))(sample)['image']
    theirs = tv.Compose([tv.Resize(32), tv.CenterCrop(32)])(Image.fromarray(image))
    assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize('size', [[24, 40], (40, 24)])
def test_sizes_of_two_sides(size):
    image = np.random.default_rng(1).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    resized = TRANSFORMS.build(dict(type='Resize', size=size))(dict(image=image))['image']
    assert np.array_equal(resized, np.asarray(tv.Resize(size)(Image.fromarray(image))))
    rng = np.random.default_rng(0)
    height, width = size
    for name, more, part in (
        ('CenterCrop', {}, image[(50 - height) // 2 :, (60 - width) // 2 :]),
        ('CornerCrop', dict(corner='bottom_right'), image[50 - height :, 60 - width :]),
        ('RandomCrop', {}, None),
    ):
        step = TRANSFORMS.build(dict(type=name, size=size, **more))
        cut = step(dict(image=image, rng=rng))['image']
        assert cut.shape == (height, width, 3)
        assert part is None or np.array_equal(cut, part[:height, :width])
    padded = TRANSFORMS.build(dict(type='Pad', size=[52, 66]))(dict(image=image))['image']
    assert padded.shape == (52, 66, 3) and np.array_equal(padded[1:51, 3:63], image)
    message = (
        r'Pad\(size=32\) got an image of 50x60, which is larger; put a Resize or a crop before'
    )
    with pytest.raises(UserError, match=message):
        TRANSFORMS.build(dict(type='Pad', size=32))(dict(image=image))


@pytest.mark.parametrize('name', ['Resize', 'CenterCrop', 'RandomCrop', 'CornerCrop', 'Pad'])
@pytest.mark.parametrize('size', [[32], [1, 2, 3], 0, '32', 2.5, [32, None], True])
def test_sizes_that_are_none(name, size):
    more = dict(corner='top_left') if name == 'CornerCrop' else {}
    message = rf'{name}: size must be a number of pixels, or \[height, width\], got'
    with pytest.raises(UserError, match=message):
        TRANSFORMS.build(dict(type=name, size=size, **more))


def test_corners_have_names():
    with pytest.raises(UserError, match="corner must be one of top_left, .*, got 'middle'"):
        TRANSFORMS.build(dict(type='CornerCrop', size=4, corner='middle'))


def test_crop_of_a_small_image():
    with pytest.raises(ValueError, match='put Resize'):
        FashionMNIST(pipeline=[dict(type='CenterCrop', size=64)])[0]
