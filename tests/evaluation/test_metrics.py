"""Metrics compared with scikit-image and with computations by hand, for any batch size."""

import math

import lpips
import numpy as np
import pytest
import scipy.linalg
import skimage.data
import torch
import torchvision
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.metrics.pixels import official_original
from openmagvit2.evaluation.pixel_errors import to_unit
from openmagvit2.registry import METRICS


def images(count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (count, 3, height, width))
    b = np.clip(a + rng.integers(-30, 31, a.shape), 0, 255)
    return torch.tensor(a) / 127.5 - 1, torch.tensor(b) / 127.5 - 1


@pytest.mark.parametrize('batch', [1, 3, 7])
@pytest.mark.parametrize('size', [(33, 41), (7, 64)])
def test_psnr_and_ssim_equal_scikit_image(batch, size):
    a, b = images(7, *size)
    metrics = [METRICS.build(dict(type=name)) for name in ('PSNR', 'SSIM')]
    for start in range(0, 7, batch):
        sample = dict(image=a[start : start + batch], reconstruction=b[start : start + batch])
        for metric in metrics:
            metric.process({}, [sample])
    x, y = (((t + 1) / 2).double().permute(0, 2, 3, 1).numpy() for t in (a, b))
    psnr = np.mean([peak_signal_noise_ratio(i, j, data_range=1) for i, j in zip(x, y, strict=True)])
    ssim = np.mean(
        [
            structural_similarity(i, j, data_range=1, channel_axis=-1)
            for i, j in zip(x, y, strict=True)
        ]
    )
    assert metrics[0].evaluate(7)['psnr'] == pytest.approx(psnr, abs=5e-6)
    assert metrics[1].evaluate(7)['ssim'] == pytest.approx(ssim, abs=5e-6)
    assert metrics[0].total.sum() == 0


def test_psnr_and_ssim_on_photographs_of_odd_sizes():
    metrics = [METRICS.build(dict(type=name)) for name in ('PSNR', 'SSIM')]
    expected = []
    for name, (height, width) in dict(
        astronaut=(131, 97), coffee=(55, 203), chelsea=(199, 77)
    ).items():
        photo = getattr(skimage.data, name)()
        pairs = [
            (
                photo[at : at + height, at : at + width],
                photo[at + 1 : at + 1 + height, at : at + width],
            )
            for at in range(0, 60, 20)
        ]
        originals, others = (np.stack(side) for side in zip(*pairs, strict=True))
        expected += [
            (
                peak_signal_noise_ratio(a, b, data_range=255),
                structural_similarity(a, b, data_range=255, channel_axis=-1),
            )
            for a, b in pairs
        ]
        tensors = [torch.from_numpy(x).permute(0, 3, 1, 2) / 127.5 - 1 for x in (originals, others)]
        for metric in metrics:
            metric.process({}, [dict(image=tensors[0], reconstruction=tensors[1])])
    psnr, ssim = np.mean(expected, 0)
    assert metrics[0].evaluate(9)['psnr'] == pytest.approx(psnr, abs=5e-6)
    assert metrics[1].evaluate(9)['ssim'] == pytest.approx(ssim, abs=5e-6)


def test_official_protocol_equals_scikit_image_near_the_levels():
    """A reconstruction slightly off a level is truncated like any other."""
    photo = skimage.data.coffee()[:61, :47]
    rng = np.random.default_rng(0)
    exact = (photo / 127.5 - 1).astype(np.float32)
    other = (
        (
            photo / 127.5
            - 1
            + rng.choice([-2, -1, 1, 2], photo.shape) / 127.5
            + rng.normal(0, 4e-7, photo.shape)
        )
        .clip(-1, 1)
        .astype(np.float32)
    )
    x, y = (
        np.trunc(255 * ((v + np.float32(1)) / 2)).astype(np.uint8) / np.float32(255)
        for v in (exact, other)
    )
    sample = {
        key: torch.from_numpy(v).permute(2, 0, 1)[None]
        for key, v in dict(image=exact, reconstruction=other).items()
    }
    # The loader of this package divides in float32, which changes no number.
    sample['image'] = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = dict(
        psnr=peak_signal_noise_ratio(x, y, data_range=1),
        ssim=structural_similarity(x, y, data_range=1, channel_axis=-1),
    )
    for name, value in expected.items():
        metric = METRICS.build(dict(type=name.upper(), protocol='official'))
        metric.process({}, [sample])
        assert metric.evaluate(1)[name] == pytest.approx(value, abs=5e-6)
        metric.process({}, [dict(image=sample['image'], reconstruction=sample['image'])])
        assert metric.evaluate(1)[name] == dict(psnr=math.inf, ssim=1)[name]


def test_codebook_usage():
    metric = METRICS.build(dict(type='CodebookUsage'))
    for indices in ([[0, 1]], [[1, 3]]):
        metric.process({}, [dict(indices=torch.tensor(indices), codebook_size=16)])
    values = metric.evaluate(2)
    assert values['usage'] == 3 / 16 and values['usage_of_possible'] == 3 / 4
    entropy = -(0.25 * math.log(0.25) * 2 + 0.5 * math.log(0.5))
    assert values['perplexity'] == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize('index', [16, 300, -1])
def test_codebook_usage_of_indices_beyond_the_codebook(index):
    metric = METRICS.build(dict(type='CodebookUsage'))
    with pytest.raises(ValueError, match=f'gave the index {index}, but its codebook_size is 16'):
        metric.process({}, [dict(indices=torch.tensor([[0, index]]), codebook_size=16)])


def test_official_protocol_moves_95_levels_of_the_original():
    levels = torch.arange(256) / 127.5 - 1
    assert (to_unit(official_original(levels), 'official') * 255 != torch.arange(256)).sum() == 95
    assert (to_unit(levels) * 255).round().equal(torch.arange(256).double())
    a, b = images(3, 20, 20)
    values = []
    for protocol in ('official', 'corrected'):
        metric = METRICS.build(dict(type='PSNR', protocol=protocol))
        metric.process({}, [dict(image=a, reconstruction=b)])
        values.append(metric.evaluate(3)['psnr'])
    assert values[0] != values[1] and values[0] == pytest.approx(values[1], abs=0.1)


@pytest.mark.parametrize('name', ['PSNR', 'SSIM', 'CodebookUsage', 'NegativeLogLikelihood'])
def test_no_image_is_an_error(name):
    with pytest.raises(ValueError, match='no image was evaluated; correct val_dataloader'):
        METRICS.build(dict(type=name)).evaluate(0)


@pytest.fixture(scope='module')
def trunk(tmp_path_factory):
    """AlexNet with random weights, in the layout of torchvision's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'alexnet-owt-7be5be79.pth'
    torch.save(torchvision.models.alexnet().features.state_dict(prefix='features.'), path)
    return path


def test_lpips_equals_the_package(trunk, monkeypatch):
    a, b = images(5, 40, 48)
    monkeypatch.setenv('OPENMAGVIT2_WEIGHTS', str(trunk.parent))
    metric = METRICS.build(dict(type='LPIPS', net='alex'))
    for rows in (slice(0, 2), slice(2, 5)):
        metric.process({}, [dict(image=a[rows].float(), reconstruction=b[rows].float())])
    network = lpips.LPIPS(net='alex', pnet_rand=True, verbose=False)
    state = {
        k.removeprefix('features.'): v
        for k, v in torch.load(trunk).items()
        if k.startswith('features.')
    }
    for name, parameter in network.net.named_parameters():
        parameter.data.copy_(state[name.split('.', 1)[1]])
    expected = network(a.float(), b.float()).mean().item()
    assert metric.evaluate(5)['lpips_alex'] == pytest.approx(expected, rel=1e-5)
    # A random trunk is stated.
    assert 'NOT the published one' in metric.statement()
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: '/nowhere')
    with pytest.raises(ValueError, match='vgg16-397923af.pth .* put the file there'):
        METRICS.build(dict(type='LPIPS', net='vgg')).prepare()


class TileMeans(FeatureExtractor):
    """Mean colors of tiles: features without a file."""

    name, dim = 'tile_means', 12

    def load_weights(self) -> None:
        pass

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(features=torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1))


def test_reconstruction_frechet_is_that_of_all_features_at_once():
    a, b = images(40, 16, 16)
    metric = METRICS.build(dict(type='ReconstructionFrechet', features=dict(type=TileMeans)))
    for start in range(0, 40, 7):
        metric.process({}, [dict(image=a[start : start + 7], reconstruction=b[start : start + 7])])
    sets = [
        TileMeans()(((x + 1) * 127.5).round().byte())['features'].double().numpy() for x in (a, b)
    ]
    means, covs = [s.mean(0) for s in sets], [np.cov(s, rowvar=False) for s in sets]
    root = scipy.linalg.sqrtm(covs[0] @ covs[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * root)
    assert metric.evaluate(40)['rfd_tile_means'] == pytest.approx(
        expected, abs=1e-6 * np.trace(covs[0] + covs[1])
    )


class UnroundedTileMeans(TileMeans):
    """Return the same for floats."""

    def unrounded(self, images: torch.Tensor) -> torch.Tensor:
        return self(images * 255)['features']


def test_official_reconstruction_frechet_does_not_round():
    """A quarter of a level is lost on 8 bits, but moves every mean of floats."""
    a, _ = images(40, 16, 16)
    values = {}
    for protocol in ('corrected', 'official'):
        metric = METRICS.build(
            dict(
                type='ReconstructionFrechet',
                features=dict(type=UnroundedTileMeans),
                protocol=protocol,
            )
        )
        metric.process({}, [dict(image=a, reconstruction=(a * 127.5 - 0.25) / 127.5)])
        values[protocol] = metric.evaluate(40)['rfd_tile_means']
    # At level 0 the float is clamped: slightly less than 12 squared means.
    assert values['corrected'] == pytest.approx(0, abs=1e-4)
    assert values['official'] == pytest.approx(12 / 16, rel=0.02)
    with pytest.raises(
        ValueError, match='TileMeans accepts only images of 8 bits: use protocol="corrected"'
    ):
        metric = METRICS.build(
            dict(type='ReconstructionFrechet', features=dict(type=TileMeans), protocol='official')
        )
        metric.process({}, [dict(image=a, reconstruction=a)])
    with pytest.raises(
        ValueError, match='ReconstructionFrechet.protocol must be one of corrected, official'
    ):
        METRICS.build(
            dict(type='ReconstructionFrechet', features=dict(type=TileMeans), protocol='exact')
        )
