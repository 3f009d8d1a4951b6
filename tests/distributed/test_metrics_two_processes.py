"""Metrics in two processes, of which one may have nothing to do, against one process."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmagvit2.registry import METRICS

NAMES = ('PSNR', 'SSIM', 'CodebookUsage')


def samples() -> dict:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(13, 3, 12, 15, generator=generator) * 2 - 1
    noise = 0.1 * torch.randn(13, 3, 12, 15, generator=generator)
    return dict(image=image, reconstruction=(image + noise).clamp(-1, 1), indices=torch.randint(50, (13, 4), generator=generator))


def values(rows: list[int], batch: int) -> dict[str, float]:
    metrics = [METRICS.build(dict(type=name)) for name in NAMES]
    for start in range(0, len(rows), batch):
        part = {name: tensor[rows[start : start + batch]] for name, tensor in samples().items()}
        for metric in metrics:
            metric.process({}, [dict(part, codebook_size=50)])
    return {name: value for metric in metrics for name, value in metric.evaluate(13).items()}


def _work(rank: int, folder: str) -> None:
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    uneven = values(list(range(13))[rank::2], 4)
    alone = values(list(range(13)) if rank == 0 else [], 5)
    torch.save((uneven, alone), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


def test_two_processes_and_batch_sizes(tmp_path):
    mp.spawn(_work, (str(tmp_path),), nprocs=2)
    expected = values(list(range(13)), 13)
    others = [part for rank in range(2) for part in torch.load(tmp_path / f'{rank}.pt')]
    for other in [*others, values(list(range(13)), 1), values(list(range(13)), 7)]:
        assert other.keys() == expected.keys()
        assert {k: other[k] for k in ('usage', 'usage_of_possible')} == {k: expected[k] for k in ('usage', 'usage_of_possible')}
        assert other == pytest.approx(expected, rel=1e-5)
