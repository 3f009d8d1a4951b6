"""Rejection by a classifier, compared with a search by hand."""

import numpy as np
import pytest
import torch
from tiny_classifier import PixelClassifier

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import TimmFeatures
from openmagvit2.evaluation.rejection import Rejection, build_rejection
from openmagvit2.evaluation.sample_set import by_class

IMAGES = torch.randint(
    0, 256, (3, 60, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def draw(labels, numbers):
    return torch.stack(
        [IMAGES[label, number] for label, number in zip(labels, numbers, strict=True)]
    )


@pytest.mark.parametrize(
    ('keep', 'count', 'drawn'), [(0.25, 10, 40), (0.3, 3, 10), (0.5, 1, 2), (0.999, 2, 3)]
)
def test_the_most_probable_are_kept_in_order(keep, count, drawn):
    rejection = Rejection(keep, PixelClassifier())
    assert rejection.drawn(count) == drawn
    weight, label = rejection.classifier.weight.detach().numpy(), 2
    cells = IMAGES[label, :drawn].double().numpy() / 255
    logits = cells.reshape(drawn, 3, 4, 2, 4, 2).mean((3, 5)).reshape(drawn, 48) @ weight.T
    probability = np.exp(logits[:, label]) / np.exp(logits).sum(1)
    best = sorted(np.argsort(-probability)[:count].tolist())
    for batch_size in (1, 7, 64):
        found = rejection.best(draw, label, count, batch_size)
        assert found.equal(IMAGES[label, best])
    # Rounding does not depend on how samples were batched.
    assert set(rejection.classifier.rows) == {16}


def test_the_surest_keep_their_order_and_of_equal_ones_the_first_stays():
    rejection = Rejection(0.5, PixelClassifier())
    # Probabilities of 1 - 4e-22 and 1 - 2e-26: rounded, they and their logarithms are equal.
    rejection._logits = lambda images: images[:, :, 0, 0].double() * torch.tensor([50.0, 0, 0])
    images = torch.tensor([[1.0, 0, 0], [1.2, 1, 0], [1.2, 2, 0], [0.9, 0, 0]])[..., None, None]
    found = rejection.best(lambda labels, numbers: images[list(numbers)], 0, 2, 4)
    assert found.equal(images[1:3])
    rejection.keep = 0.25
    found = rejection.best(lambda labels, numbers: images[list(numbers)], 0, 1, 4)
    assert found.equal(images[1:2])


def test_classifiers_of_timm(tmp_path):
    options = dict(model='tf_efficientnet_lite0', layers=(), num_classes=5, size=32)
    torch.manual_seed(0)
    state = TimmFeatures(**options, weights='timm').network.state_dict()
    # Like files of old versions of torch.
    bare = {k: x for k, x in state.items() if not k.endswith('num_batches_tracked')}
    assert len(bare) < len(state)
    torch.save(bare, tmp_path / 'x.pth')
    rejection = build_rejection(dict(options, keep=0.5, weights=str(tmp_path / 'x.pth')))
    rejection.prepare([0, 4], 'cpu')
    outputs = rejection.classifier(IMAGES[0, :2])
    assert outputs['logits'].shape == (2, 5) and outputs['features'].equal(outputs['logits'])
    assert rejection.key() == dict(keep=0.5, classifier=rejection.classifier.key())
    assert rejection.best(draw, 1, 2, 3).shape == (2, 3, 8, 8)
    with pytest.raises(UserError, match='has the classes 0 to 4, but class 5 is sampled'):
        rejection.prepare([0, 5], 'cpu')
    wrong = build_rejection(dict(options, keep=0.5, weights=str(tmp_path / 'x.pth'), num_classes=4))
    with pytest.raises(UserError, match=r'x\.pth does not fit tf_efficientnet_lite0'):
        wrong.prepare([0], 'cpu')


def test_mistakes():
    assert build_rejection(None) is None and build_rejection(dict(keep=1)) is None
    for keep in (0, 1.5, 'half', None):
        with pytest.raises(UserError, match='eval_rejection.keep must be above 0'):
            build_rejection(dict(keep=keep, type='PixelClassifier'))
    with pytest.raises(UserError, match='eval_rejection has no `kep`; it has classes, keep, seed'):
        build_rejection(dict(kep=0.5, type='PixelClassifier'))
    rejection = Rejection(0.5, PixelClassifier())
    rejection.classifier.forward = lambda images: dict(features=images)
    with pytest.raises(UserError, match='pixel_classifier returns only features'):
        rejection.prepare([0], 'cpu')
    with pytest.raises(UserError, match=r'eval_rejection\.modle'):
        load_config(
            'configs/tiny/ar_32.py',
            dict(eval_rejection=dict(type='TimmFeatures', modle='resnet101', keep=0.1)),
        )


def test_rows_with_rejection():
    for name in ('vqgan/ar_1400m_256_re', 'rq/ar_3800m_256_50e_re'):
        settings = load_config(f'configs/{name}.py').eval_rejection
        assert settings.keep == 0.05 and settings.model == 'resnet101'


def test_sets_by_class():
    pairs = [(2, 0), (0, 0), (2, 1), (1, 0)]
    assert by_class(pairs) == [[(2, 0), (2, 1)], [(0, 0)], [(1, 0)]]
