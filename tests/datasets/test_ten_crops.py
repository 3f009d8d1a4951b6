"""One of ten crops, compared with torchvision's."""

import numpy as np
from PIL import Image
from torchvision import transforms as tv

from openmagvit2.registry import TRANSFORMS
from openmagvit2.workflows.crops import views_of


def test_each_is_drawn_about_as_often():
    image = np.random.default_rng(1).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    ten = [np.asarray(view) for view in tv.TenCrop(12)(Image.fromarray(image))]
    step, rng = TRANSFORMS.build(dict(type='RandomTenCrop', size=12)), np.random.default_rng(0)
    counts = np.zeros(10, int)
    for _ in range(500):
        found = step(dict(image=image, rng=rng))['image']
        counts += [np.array_equal(found, view) for view in ten]
    # Four standard deviations of a fraction of one in ten.
    assert counts.sum() == 500 and np.abs(counts - 50).max() < 27


def test_the_cache_of_all_ten_replaces_it():
    pipeline = [dict(type='Pad', size=40), dict(type='RandomTenCrop', size=32)]
    views = views_of(pipeline, 'ten', False)
    assert len(views) == 10
    assert [steps[1]['type'] for steps, _ in views_of(pipeline, 'center', False)] == ['CenterCrop']
