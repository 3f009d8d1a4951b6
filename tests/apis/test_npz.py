"""Samples in one file: batches, stops, and mistakes."""

import numpy as np
import pytest
import torch

from openmagvit2.apis import Generator, init_model
from openmagvit2.apis.npz import sample_npz


@pytest.fixture(scope='module')
def generator():
    torch.manual_seed(0)
    model = init_model('tiny/ar_32', cfg_options={'model.num_classes': 3})
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return Generator(model, dict(guidance=1.5))


def test_batches_and_parts_do_not_matter(generator, tmp_path):
    for name, settings in (('a', dict(batch_size=1, part=20)), ('b', dict(batch_size=7, part=6)), ('c', dict(batch_size=20, part=4))):
        assert sample_npz(generator, tmp_path / f'{name}.npz', [2, 0, 1], 3, seed=5, **settings) == 9
    files = [np.load(tmp_path / f'{name}.npz', allow_pickle=False) for name in 'abc']
    assert files[0]['arr_1'].tolist() == [2, 2, 2, 0, 0, 0, 1, 1, 1]
    assert files[0]['arr_0'].dtype == np.uint8 and files[0]['arr_0'].shape == (9, 32, 32, 3)
    for other in files[1:]:
        assert np.abs(files[0]['arr_0'].astype(int) - other['arr_0']).max() <= 1
    labels, numbers = [2, 2, 2, 0, 0, 0, 1, 1, 1], [0, 1, 2] * 3
    tokens = [
        torch.cat([generator.sample_indices(labels[i : i + n], 5, numbers[i : i + n]) for i in range(0, 9, n)]) for n in (1, 7, 20)
    ]
    assert tokens[0].equal(tokens[1]) and tokens[0].equal(tokens[2])


def test_a_second_start_does_the_rest(generator, tmp_path, monkeypatch):
    calls = []
    sample = generator.sample

    def stopping(labels, *args, **kwargs):
        calls.append(labels)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(labels, *args, **kwargs)

    monkeypatch.setattr(generator, 'sample', stopping)
    settings = dict(labels=[0, 1], num_per_class=4, part=4, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        sample_npz(generator, tmp_path / 'x.npz', **settings)
    assert not (tmp_path / 'x.npz').exists()
    with pytest.raises(ValueError, match=r'parts of other settings \(seed\)'):
        sample_npz(generator, tmp_path / 'x.npz', seed=1, **settings)
    sample_npz(generator, tmp_path / 'x.npz', **settings)
    assert [label for labels in calls for label in labels] == [0] * 4 + [1] * 4 + [1] * 4
    assert not (tmp_path / 'x.npz.parts').exists()
    with pytest.raises(ValueError, match='x.npz exists'):
        sample_npz(generator, tmp_path / 'x.npz', **settings)
