"""Labels of class-conditional generators: -1 is the null class in training and sampling; other
labels outside the classes are errors.
"""

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from openmagvit2.apis import Generator, init_model
from openmagvit2.models.conditioners.labels import class_numbers


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = init_model('tiny/ar_32', cfg_options={'model.grid': (2, 3), 'model.class_dropout': 0.0})
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return model


def batch(*labels: int) -> dict:
    indices = torch.randint(256, (len(labels), 2, 3), generator=torch.Generator().manual_seed(1))
    return dict(
        indices=indices, label=torch.tensor(labels), uniform=torch.full((len(labels),), 0.5)
    )


def step(model, *labels: int) -> None:
    optimizer = torch.optim.SGD(model.transformer.parameters(), lr=0.0)
    model.train_step(batch(*labels), OptimWrapperDict(transformer=OptimWrapper(optimizer)))


def test_unlabeled_images_train_the_null_class(model, monkeypatch):
    # The wrapper would clear the gradients before and after its step.
    monkeypatch.setattr(OptimWrapper, 'zero_grad', lambda self: None)
    for labels, rows in (((-1, -1), [10]), ((3, -1), [3, 10])):
        model.zero_grad()
        step(model.train(), *labels)
        moved = model.class_embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
        assert moved == rows
    model.zero_grad()
    nll = model.eval().val_step(batch(-1, 3))[0]['nll']
    sub = model.factorization.split(batch(-1, 3)['indices'].flatten(1))
    expected = [
        model.head.losses_per_token(model.context(sub, torch.tensor([10, 3])), sub).sum((1, 2))
    ]
    assert nll.tolist() == pytest.approx(expected[0].tolist())


@pytest.mark.parametrize('label', [10, 13, -2])
def test_labels_of_a_stream_are_checked_by_batch(model, label):
    with pytest.raises(ValueError, match=f'has label {label}, but the model expects 0 to 9'):
        step(model, 3, label)
    with pytest.raises(ValueError, match=f'has label {label},'):
        model.val_step(batch(label, 3))


def test_null_class_and_kinds_of_labels(model):
    sampling = dict(guidance=2.0)
    expected = model.generate(torch.tensor([3, 10, 10]), sampling, seed=2)
    for labels in (
        [3, -1, 10],
        np.array([3, -1, -1]),
        [np.int64(3), np.int32(10), np.int8(-1)],
        torch.tensor([3, -1, 10], dtype=torch.int16),
    ):
        assert model.generate(labels, sampling, seed=2).equal(expected)
    images = Generator(model).sample(np.array([3, -1], np.int8), seed=2)
    assert images.shape[0] == 2 and (images == Generator(model).sample([3, 10], seed=2)).all()
    assert class_numbers(np.array([0, 9], np.uint8), 10) == [0, 9]


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        ([1.5], 'labels must be integers, got torch.float32'),
        ([True], 'labels must be integers, got torch.bool'),
        (3, r'labels must be a non-empty list of integers, got shape \(\)'),
        ([], r'got shape \(0,\)'),
        ([[1, 2]], r'got shape \(1, 2\)'),
        ([11], r'labels must be from 0 to 9, or -1 or 10 for the null class, got 11'),
        ([-2], 'got -2'),
        (['Bag'], 'labels must be a list of integers'),
        ([1, [2, 3]], 'labels must be a list of integers'),
    ],
)
def test_wrong_labels_are_one_sentence(model, labels, message):
    with pytest.raises(ValueError, match=message):
        Generator(model).sample(labels)


def test_wrong_numbers_are_one_sentence(model):
    for numbers in ([0], [0, -1], [0.5, 0], ['a', 0], [None, 0], 'ab', torch.tensor([0, -1])):
        with pytest.raises(ValueError, match='numbers must be 2 integers ≥ 0'):
            model.generate([1, 2], numbers=numbers)
    expected = model.generate([1, 2], numbers=[3, 4])
    for numbers in (np.array([3, 4]), torch.tensor([3, 4]), (np.int64(3), 4)):
        assert model.generate([1, 2], numbers=numbers).equal(expected)


@pytest.mark.parametrize('size', [0, -1, 1.5, None, True])
def test_wrong_sets_are_one_sentence(model, size):
    with pytest.raises(ValueError, match='batch_size must be a positive integer, got'):
        Generator(model).sample_pairs([(1, 0)], batch_size=size)
    with pytest.raises(ValueError, match='pairs must not be empty'):
        Generator(model).sample_pairs([])
