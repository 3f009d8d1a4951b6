"""The check of labels against the classes of the model: errors before the first step, one warning,
and -1 for no class.
"""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from openmagvit2.config import load_config
from openmagvit2.datasets import FashionMNIST, ImageList
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.engine import checks
from openmagvit2.workflows.train import train


def model(num_classes: int) -> SimpleNamespace:
    return SimpleNamespace(num_classes=num_classes)


def image_list(folder, *classes: int) -> ImageList:
    lines = []
    for i, label in enumerate(classes):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / f'{i}.png')
        lines.append(f'{i}.png {label}')
    (folder / 'list.txt').write_text('\n'.join(lines))
    return ImageList(list_file=str(folder / 'list.txt'), data_root=str(folder))


def test_known_labels_are_checked_exactly(tmp_path):
    data = image_list(tmp_path, 0, 9, 10, 13, -1)
    message = (
        r'^ImageList: .*2\.png has the label 10, .* go from 0 to 9; set '
        r'model.conditioner.num_classes=14, or correct'
    )
    with pytest.raises(ValueError, match=message):
        data.check_model(model(10))
    with pytest.raises(ValueError, match=r'3\.png has the label 13'):
        data.check_model(model(13))
    assert data.check_model(model(14)) is None
    message = r'1\.png has the label -2, .*; correct the labels; -1 means no class\.'
    with pytest.raises(ValueError, match=message):
        image_list(tmp_path, 3, -2).check_model(model(4))
    with pytest.raises(ValueError, match='FashionMNIST: image 9 has the label 9'):
        FashionMNIST(num_images=30).check_model(model(9))
    # A tokenizer uses no labels.
    data.check_model(SimpleNamespace())


def test_classes_that_the_data_lack_are_reported(tmp_path):
    assert FashionMNIST(num_images=3).num_classes == 10
    assert (
        FashionMNIST(num_images=3)
        .check_model(model(1000))
        .startswith('FashionMNIST has 10 classes, but the model has 1000')
    )
    # Without names of classes, the largest label is used.
    data = image_list(tmp_path, 0, 4)
    assert data.num_classes == 5
    assert data.check_model(model(6)).startswith('ImageList has 5 classes, but the model has 6 ')
    assert image_list(tmp_path, 4, -1).check_model(model(5)) is None
    assert (
        image_list(tmp_path, -1, -1, -1)
        .check_model(model(10))
        .startswith('ImageList: none of the 3 images has a label')
    )


@pytest.mark.parametrize('key', ['train_dataloader', 'val_dataloader', 'test_dataloader'])
def test_a_training_warns_in_one_line(key, monkeypatch):
    logged = []
    monkeypatch.setattr(
        checks, 'print_log', lambda text, logger, level: logged.append((text, level))
    )
    loader = SimpleNamespace(dataset=FashionMNIST(num_images=3))
    checks.check_datasets({key: loader, 'other': SimpleNamespace(dataset=[])}, model(12))
    assert len(logged) == (key == 'train_dataloader')
    for text, level in logged:
        assert text.startswith(
            'train_dataloader: FashionMNIST has 10 classes, but the model has 12'
        )
        assert level == logging.WARNING


class Unread(ImageDataset):
    """Only class names are known before the images are read."""

    classes = ['a', 'b', 'c']

    def __len__(self) -> int:
        return 2

    def load(self, index):
        raise NotImplementedError


def test_unknown_labels_fall_back_to_the_number_of_classes():
    with pytest.raises(
        ValueError,
        match='Unread has 3 classes, but the model has 2; set model.conditioner.num_classes=3',
    ):
        Unread().check_model(model(2))
    assert Unread().check_model(model(3)) is None


@pytest.mark.parametrize('side', ['train', 'val'])
def test_a_training_stops_before_its_first_step(side, tmp_path):
    """Nine classes for ten labels: the tenth would be trained as the null class."""
    options = {'model.conditioner.num_classes': 9}
    if side == 'val':
        # The first nine training images are of the first nine classes.
        options['train_dataloader.dataset.num_images'] = 9
    with pytest.raises(
        ValueError, match=f'^{side}_dataloader: FashionMNIST: image 9 has the label 9'
    ):
        train(load_config('configs/tiny/ar_32.py', options), str(tmp_path / 'run'))
    assert not list(tmp_path.rglob('*.pth'))
