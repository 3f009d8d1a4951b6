"""tools/evaluate_npz.py in this process: networks, records and mistakes."""

import errno
import functools
import hashlib
import json
import os

import numpy as np
import pytest
import torch
from evaluate_npz import write
from image_arrays import random_images, save_npz
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from openmagvit2.errors import UserError
from openmagvit2.evaluation.comparison import Result
from openmagvit2.evaluation.features import TimmFeatures
from openmagvit2.registry import FEATURES


@pytest.fixture
def run(monkeypatch, tool, tmp_path):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))
    return functools.partial(tool, 'evaluate_npz')


def test_without_weights_one_sentence(run, tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_WEIGHTS', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    files = [save_npz(tmp_path / f'{i}.npz', random_images(3, seed=i)) for i in range(2)]
    code, out, err = run(*files)
    assert code == 2 and out == ''
    assert 'weights-inception-2015-12-05-6726825d.pth' in err
    assert str(tmp_path) in err
    assert 'Traceback' not in err


def test_mistakes_end_before_an_image_is_read(run, tmp_path):
    samples = save_npz(tmp_path / 'x.npz', random_images(3))
    (tmp_path / 'broken.npz').write_bytes(b'PK not a zip')
    np.savez(tmp_path / 'objects.npz', mu=np.array([dict(a=1)], dtype=object), sigma=np.eye(1))
    np.savez(
        tmp_path / 'both.npz', mu=np.zeros(2048), sigma=np.eye(2048), arr_0=np.zeros((2, 4, 4, 3))
    )
    cases = [
        ([samples, tmp_path / 'broken.npz'], 'broken.npz is not a readable npz'),
        ([samples, tmp_path / 'objects.npz'], 'objects.npz is not a readable npz: Object arrays'),
        ([samples, tmp_path / 'both.npz'], 'arr_0 must be uint8'),
        ([samples, samples, '--metrics', 'fid'], '--metrics fid: choose from fd, is'),
        ([samples, samples, '--batch-size', 0], 'must be at least 1'),
        ([samples, samples, '--labels', 'random'], '--labels and --rejection need --config'),
        ([samples, samples, '--device', 'nothing'], '--device nothing'),
        ([samples, samples, '--features', 'Inception'], 'No `Inception` in the features slot'),
        ([samples, samples, '--features-options', 'weight=x'], '--features-options: '),
        ([samples, samples, '--out', tmp_path / 'no' / 'result.json'], 'its folder does not exist'),
        ([samples, samples, '--out', tmp_path], 'this is a folder'),
    ]
    for arguments, message in cases:
        code, out, err = run(*arguments)
        assert code == 2 and message in err and 'Traceback' not in err, (arguments, err)
        assert out == '', arguments


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A file with random weights of the network whose weights a pip package has."""
    path = tmp_path_factory.mktemp('weights') / 'small.pth'
    torch.manual_seed(0)
    torch.save(TimmFeatures().network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    'network', ['TimmFeatures', pytest.param('FIDInception', marks=pytest.mark.slow)]
)
def test_networks_through_the_command(run, tmp_path, network, request):
    weights = request.getfixturevalue(dict(TimmFeatures='small', FIDInception='inception')[network])
    extractor = FEATURES.build(dict(type=network, weights=str(weights)))
    name = extractor.distance_name
    files = [save_npz(tmp_path / f'{i}.npz', random_images(6, 32, i)) for i in range(2)]
    options = ['--features', network, '--features-options', f'weights={weights}', '--batch-size', 4]
    code, out, err = run(*files, *options, '--out', tmp_path / 'result.json')
    assert code == 0, err
    record = json.loads((tmp_path / 'result.json').read_text())
    assert set(record['values']) == {
        name,
        'inception_score',
        'inception_score_std',
        'precision',
        'recall',
    }
    assert record['samples']['count'] == 6
    assert record['network']['sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record['network']['layer'] and record['network'].get('published', False) is False
    assert 'are few for fd' in err
    extractor.prepare('cpu')
    parts = [torch.from_numpy(np.load(file)['arr_0']).permute(0, 3, 1, 2) for file in files]
    theirs = [fid_features_to_statistics(extractor(part)['features'].double()) for part in parts]
    expected = fid_statistics_to_metric(*theirs, False)['frechet_inception_distance']
    bound = 1e-6 * sum(np.trace(s['sigma']) for s in theirs)
    assert abs(record['values'][name] - expected) < bound + 1e-9
    # The same with statistics, and again from the cache.
    np.savez(tmp_path / 'stats.npz', **theirs[1])
    code, out, err = run(files[0], tmp_path / 'stats.npz', *options)
    assert code == 0 and 'against' in out, err
    for _ in range(2):
        code, out, err = run(*files, *options, '--metrics', 'fd')
        assert code == 0
    assert len(list((tmp_path / 'cache').glob(f'{extractor.name}_*.npz'))) == 1
    code, _, err = run(files[0], tmp_path / 'stats.npz', *options, '--metrics', 'kid')
    assert code == 2 and 'compares images' in err
    np.savez(tmp_path / 'other.npz', mu=np.zeros(5), sigma=np.eye(5))
    code, _, err = run(files[0], tmp_path / 'other.npz', *options)
    assert code == 2 and 'statistics of another network' in err


def test_a_finished_result_is_not_lost(tmp_path, capsys, monkeypatch):
    """Neither a full disk nor file names that are not text lose a result."""
    sides = dict(count=1), dict(images=1, statistics=False), dict(name='x')
    result = Result(dict(fd=1.5), *sides, protocol={}, skipped=dict(samples=['\udcff.png']))
    out = tmp_path / 'result.json'
    write(result, str(out))
    assert 'is replaced' not in capsys.readouterr().err
    assert json.loads(out.read_text())['skipped'] == dict(samples=['\udcff.png'])
    write(result, str(out))
    assert f'{out} is from an earlier evaluation and is replaced' in capsys.readouterr().err

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    before = out.read_bytes()
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(UserError, match=r'result.json cannot be written \(No space left'):
        write(result, str(out))
    assert out.read_bytes() == before
