"""ADM's crops, compared with their definition."""

import numpy as np
import pytest
from PIL import Image

from openmagvit2.datasets.adm_transforms import AdmCenterCrop, AdmRandomCrop, adm_resized
from openmagvit2.errors import UserError


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_halves_with_a_box_and_then_resizes():
    image = noise(64, 80)
    # 64 >= 2 * 30: one halving, the mean of 2x2 pixels; then 32 to 30 and 40 to 37.5, rounded.
    halved = image.reshape(32, 2, 40, 2, 3).mean((1, 3))
    assert np.abs(np.array(adm_resized(image, 32)) - halved).max() <= 1
    found = adm_resized(image, 30)
    assert found.shape == (30, 38, 3)
    half = Image.fromarray(image).resize((40, 32), Image.Resampling.BOX)
    assert np.array_equal(found, np.array(half.resize((38, 30), Image.Resampling.BICUBIC)))


def test_center():
    image = noise(32, 45)
    found = AdmCenterCrop(size=32)(dict(image=image))['image']
    assert np.array_equal(found, image[:, 6:38])


def test_random_sizes_and_places():
    image, sizes, first = noise(50, 50), set(), set()
    for seed in range(120):
        rng = np.random.default_rng(seed)
        short = np.random.default_rng(seed).integers(8, 11)
        found = AdmRandomCrop(size=8)(dict(image=image, rng=rng))['image']
        assert found.shape == (8, 8, 3)
        sizes.add(int(short))
        resized = adm_resized(image, int(short))
        windows = np.lib.stride_tricks.sliding_window_view(resized, (8, 8, 3))
        match = np.argwhere((windows[:, :, 0] == found).all((-1, -2, -3)))
        assert len(match) == 1
        first.add(tuple(match[0].tolist()))
    assert sizes == {8, 9, 10} and first == {(y, x) for y in range(3) for x in range(3)}
    with pytest.raises(UserError, match='0 < least'):
        AdmRandomCrop(size=8, least=1.2)
