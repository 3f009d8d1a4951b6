"""Metrics of two processes, of which one may have no images, equal those of one process."""

import functools

import pytest
import torch
import torchvision
from mmengine.evaluator import BaseMetric
from two_processes import run_in_two

from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.registry import METRICS

COUNT = 13
USAGE = ('usage', 'usage_of_possible', 'perplexity')
# Also for a codebook that is too large for a table.
EXACT = (*USAGE, *(f'far_{name}' for name in USAGE))


class Tiles(FeatureExtractor):
    """Features without a file: the mean colors of tiles."""

    name, dim = 'tiles', 12

    def load_weights(self) -> None:
        pass

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(features=torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1))


def samples() -> dict:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(COUNT, 3, 40, 45, generator=generator) * 2 - 1
    noise = 0.1 * torch.randn(COUNT, 3, 40, 45, generator=generator)
    return dict(
        image=image,
        reconstruction=(image + noise).clamp(-1, 1),
        indices=torch.randint(50, (COUNT, 4), generator=generator),
    )


@functools.cache
def built(folder: str) -> list[BaseMetric]:
    """Build the metrics of a process, which are reused for each validation."""
    metrics = [METRICS.build(dict(type=name)) for name in ('PSNR', 'SSIM', 'CodebookUsage')]
    metrics.append(METRICS.build(dict(type='LPIPS', net='alex', weights=f'{folder}/alexnet.pth')))
    metrics.append(METRICS.build(dict(type='ReconstructionFrechet', features=dict(type=Tiles))))
    return [*metrics, METRICS.build(dict(type='CodebookUsage'))]


def values(rows: list[int], batch: int, folder: str) -> dict[str, float]:
    *metrics, far = built(folder)
    for start in range(0, len(rows), batch):
        part = {name: tensor[rows[start : start + batch]] for name, tensor in samples().items()}
        for metric in metrics:
            metric.process({}, [dict(part, codebook_size=50)])
        far.process({}, [dict(indices=part['indices'] * 2**30, codebook_size=2**40)])
    others = {f'far_{name}': value for name, value in far.evaluate(COUNT).items()}
    return others | {
        name: value for metric in metrics for name, value in metric.evaluate(COUNT).items()
    }


def _work(rank: int, folder: str) -> None:
    everything = list(range(COUNT))
    found = [values(everything[rank::2], batch, folder) for batch in (1, 4, 64)]
    found.append(values(everything if rank == 0 else [], 5, folder))
    torch.save(found, f'{folder}/{rank}.pt')


def test_two_processes_and_batch_sizes(tmp_path):
    torch.manual_seed(0)
    trunk = torchvision.models.alexnet().features.state_dict(prefix='features.')
    torch.save(trunk, tmp_path / 'alexnet.pth')
    run_in_two(_work, tmp_path)
    everything = list(range(COUNT))
    expected = values(everything, COUNT, str(tmp_path))
    assert set(expected) == {'psnr', 'ssim', *EXACT, 'lpips_alex', 'rfd_tiles'}
    assert min(expected.values()) > 0
    others = [part for rank in range(2) for part in torch.load(tmp_path / f'{rank}.pt')]
    for other in [*others, *(values(everything, batch, str(tmp_path)) for batch in (1, 7, 64))]:
        assert {name: other[name] for name in EXACT} == {name: expected[name] for name in EXACT}
        assert other == pytest.approx(expected, rel=1e-5)
