"""Metrics against scikit-image and by hand, whatever the batch size."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

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
    ssim = np.mean([structural_similarity(i, j, data_range=1, channel_axis=-1) for i, j in zip(x, y, strict=True)])
    assert metrics[0].evaluate(7)['psnr'] == pytest.approx(psnr, abs=5e-6)
    assert metrics[1].evaluate(7)['ssim'] == pytest.approx(ssim, abs=5e-6)
    assert metrics[0].total.sum() == 0


def test_codebook_usage():
    metric = METRICS.build(dict(type='CodebookUsage'))
    for indices in ([[0, 1]], [[1, 3]]):
        metric.process({}, [dict(indices=torch.tensor(indices), codebook_size=16)])
    values = metric.evaluate(2)
    assert values['usage'] == 3 / 16 and values['usage_of_possible'] == 3 / 4
    entropy = -(0.25 * math.log(0.25) * 2 + 0.5 * math.log(0.5))
    assert values['perplexity'] == pytest.approx(math.exp(entropy))
