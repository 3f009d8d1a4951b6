"""Images remain Pillow images through a pipeline, with the same pixels."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms as tv

from openmagvit2.datasets import ImageFolder


@pytest.mark.parametrize('shape', [(70, 45), (33, 90), (20, 20)])
@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'lanczos', 'nearest'])
def test_files_have_the_pixels_of_pillow(tmp_path, shape, interpolation):
    """A crop between the two passes of a resize changes no pixel; other transforms get arrays."""
    image = np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / 'a.png')
    resize = tv.Resize(32, tv.InterpolationMode(interpolation))(Image.fromarray(image))
    whole = np.asarray(resize)
    steps = [dict(type='Resize', size=32, interpolation=interpolation)]
    data = ImageFolder(data_root=str(tmp_path), pipeline=steps)
    assert np.array_equal(data[0]['image'].permute(1, 2, 0), whole)
    corner = dict(type='CornerCrop', size=[30, 24], corner='bottom_right')
    cut = whole[len(whole) - 30 :, whole.shape[1] - 24 :]
    assert np.array_equal(data.with_pipeline([*steps, corner])[0]['image'].permute(1, 2, 0), cut)
    steps += [corner, dict(type='RandomFlip', prob=1.0), dict(type='Pad', size=[31, 24])]
    padded = data.with_pipeline(steps)[0]['image'].permute(1, 2, 0)
    assert np.array_equal(padded, np.pad(cut[:, ::-1], ((0, 1), (0, 0), (0, 0))))


def test_the_load_method_of_a_subclass_is_used(tmp_path):
    class Inverted(ImageFolder):
        def load(self, index):
            image, label = super().load(index)
            return 255 - image, label

    Image.fromarray(np.full((4, 5, 3), 55, np.uint8)).save(tmp_path / 'a.png')
    crop = [dict(type='CenterCrop', size=3)]
    assert (Inverted(data_root=str(tmp_path), pipeline=crop)[0]['image'] == 200).all()
