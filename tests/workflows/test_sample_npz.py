"""Samples in one file: batches, interruptions and mistakes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tiny_classifier import PixelClassifier
from two_processes import run_in_two

from openmagvit2.apis import Generator, init_model
from openmagvit2.evaluation.rejection import Rejection
from openmagvit2.workflows.sample import sample_npz


def make() -> Generator:
    torch.manual_seed(0)
    # 16 tokens per image.
    options = {'model.conditioner.num_classes': 3, 'model.image_size': 16}
    model = init_model('tiny/ar_32', cfg_options=options)
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    return Generator(model, dict(guidance=1.5))


@pytest.fixture(scope='module')
def generator() -> Generator:
    return make()


def test_batches_and_parts_do_not_matter(generator, tmp_path):
    for name, settings in (
        ('a', dict(batch_size=1, part=20)),
        ('b', dict(batch_size=7, part=6)),
        ('c', dict(batch_size=20, part=4)),
    ):
        assert (
            sample_npz(generator, tmp_path / f'{name}.npz', [2, 0, 1], 3, seed=5, **settings) == 9
        )
    files = [np.load(tmp_path / f'{name}.npz', allow_pickle=False) for name in 'abc']
    assert files[0]['arr_1'].tolist() == [2, 2, 2, 0, 0, 0, 1, 1, 1]
    assert files[0]['arr_0'].dtype == np.uint8 and files[0]['arr_0'].shape == (9, 16, 16, 3)
    for other in files[1:]:
        assert np.abs(files[0]['arr_0'].astype(int) - other['arr_0']).max() <= 1
    labels, numbers = [2, 2, 2, 0, 0, 0, 1, 1, 1], [0, 1, 2] * 3
    tokens = [
        torch.cat(
            [
                generator.sample_indices(labels[i : i + n], 5, numbers[i : i + n])
                for i in range(0, 9, n)
            ]
        )
        for n in (1, 7, 20)
    ]
    assert tokens[0].equal(tokens[1]) and tokens[0].equal(tokens[2])


def test_a_second_start_does_the_rest(generator, tmp_path, monkeypatch):
    calls = []
    sample = generator.model.images

    def stopping(labels, *args):
        calls.append(labels)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(labels, *args)

    monkeypatch.setattr(generator.model, 'images', stopping)
    settings = dict(labels=[0, 1], num_per_class=4, part=4, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        sample_npz(generator, tmp_path / 'x.npz', **settings)
    assert not (tmp_path / 'x.npz').exists()
    with pytest.raises(ValueError, match=r'parts with other settings \(seed\)'):
        sample_npz(generator, tmp_path / 'x.npz', seed=1, **settings)
    sample_npz(generator, tmp_path / 'x.npz', **settings)
    assert [label for labels in calls for label in labels] == [0] * 4 + [1] * 4 + [1] * 4
    assert not (tmp_path / 'x.npz.parts').exists()
    with pytest.raises(ValueError, match='x.npz exists'):
        sample_npz(generator, tmp_path / 'x.npz', **settings)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(labels=[0, 4]), 'labels must be from 0 to 2'),
        (dict(labels=[0, -2]), 'labels must be from 0 to 2'),
        (dict(labels=[1, 0, 1]), 'class 1 occurs more than once'),
        (dict(guidance=[1.0, 2.0, 3.0]), 'one for each of the 2 sub-tokens'),
        (dict(schedule='steep'), 'schedule must be one of'),
        (dict(width=3), 'width'),
        (dict(out='x.zip'), 'must end in .npz'),
    ],
)
def test_mistakes_leave_nothing_behind(generator, tmp_path, changes, message):
    arguments = dict(out='x.npz', labels=[0, 1], num_per_class=1) | changes
    with pytest.raises(ValueError, match=message):
        sample_npz(generator, tmp_path / arguments.pop('out'), **arguments)
    assert not list(tmp_path.iterdir())


def test_parts_without_settings_are_not_taken(generator, tmp_path):
    (tmp_path / 'x.npz.parts').mkdir()
    np.save(tmp_path / 'x.npz.parts' / 'part_000000.npy', np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match='no settings.json'):
        sample_npz(generator, tmp_path / 'x.npz', [0], 1)


def _two(rank: int, folder: str) -> None:
    generator = make()
    sample_npz(generator, Path(folder) / 'two.npz', [2, 0, 1], 3, seed=5, batch_size=2, part=2)
    best = Rejection(0.25, PixelClassifier())
    kept = Path(folder) / 'two_kept.npz'
    sample_npz(generator, kept, [2, 0, 1], 2, seed=5, batch_size=3, rejection=best)
    # Parts with other settings: every process raises the error, and none waits for another.
    if rank == 0:
        (Path(folder) / 'y.npz.parts').mkdir()
        (Path(folder) / 'y.npz.parts' / 'settings.json').write_text('{"seed": 1}')
    dist.barrier()
    with pytest.raises(ValueError, match='other settings'):
        sample_npz(generator, Path(folder) / 'y.npz', [0], 1)


def test_two_processes_write_the_same_file(generator, tmp_path):
    run_in_two(_two, tmp_path)
    sample_npz(generator, tmp_path / 'one.npz', [2, 0, 1], 3, seed=5, batch_size=20)
    best = Rejection(0.25, PixelClassifier())
    kept = tmp_path / 'one_kept.npz'
    sample_npz(generator, kept, [2, 0, 1], 2, seed=5, batch_size=8, rejection=best)
    for suffix, count in (('', 9), ('_kept', 6)):
        one, two = (
            np.load(tmp_path / f'{name}{suffix}.npz', allow_pickle=False) for name in ('one', 'two')
        )
        assert one['arr_1'].tolist() == two['arr_1'].tolist()
        assert np.abs(one['arr_0'].astype(int) - two['arr_0']).max() <= 1
        assert len(np.unique(one['arr_0'].reshape(count, -1), axis=0)) == count


def test_rejection_keeps_the_best_of_more_numbers(generator, tmp_path):
    best = Rejection(0.25, PixelClassifier())
    settings = dict(labels=[2, 0], num_per_class=2, seed=5, rejection=best)
    assert sample_npz(generator, tmp_path / 'x.npz', **settings) == 4
    with np.load(tmp_path / 'x.npz', allow_pickle=False) as file:
        images, labels = file['arr_0'], file['arr_1']
    assert labels.tolist() == [2, 2, 0, 0]
    for label, kept in ((2, images[:2]), (0, images[2:])):
        drawn = generator.sample([label] * 8, 5, range(8))
        scores = best.scores(torch.from_numpy(drawn).movedim(-1, 1), label)
        assert np.abs(drawn[scores.topk(2)[1].sort()[0]].astype(int) - kept).max() <= 1
    # Parts of another acceptance rate are not reused.
    (tmp_path / 'y.npz.parts').mkdir()
    (tmp_path / 'y.npz.parts' / 'settings.json').write_text('{"seed": 5}')
    with pytest.raises(ValueError, match='parts with other settings .*rejection'):
        sample_npz(generator, tmp_path / 'y.npz', **settings)


def test_drawn_labels_and_another_size(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(generator.model, 'output_size', (12, 20))
    assert sample_npz(generator, tmp_path / 'x.npz', 'random', 2, seed=3) == 6
    with np.load(tmp_path / 'x.npz', allow_pickle=False) as file:
        images, labels = file['arr_0'], file['arr_1'].tolist()
    assert images.shape == (6, 12, 20, 3) and set(labels) <= {0, 1, 2}
    numbers = [labels[:i].count(label) for i, label in enumerate(labels)]
    expected = generator.sample(labels, 3, numbers)
    assert np.abs(images.astype(int) - expected).max() <= 1
    with pytest.raises(ValueError, match="labels must be a list or 'random', got 'all'"):
        sample_npz(generator, tmp_path / 'y.npz', 'all', 2)
