"""One training, the same numbers: in one process, in two, and with micro-batches."""

import json
from pathlib import Path

import pytest
from two_processes import run_in_two

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


def run(family: str, folder: Path, counts: int = 1, launcher: str = 'none') -> None:
    options = {
        'train_cfg.max_iters': 10,
        'train_cfg.val_interval': 10,
        'val_dataloader.dataset.num_images': 10,
        'optim_wrapper.accumulative_counts': counts,
        # The splits differ by rounding, which bfloat16 makes a thousand times as large.
        'optim_wrapper.dtype': 'float32',
        'default_hooks.logger.interval': 1,
        'experiment_name': f'{folder.parent.name}-{folder.name}',
    }
    train(load_config(TINY / f'{family}.py', options), str(folder), launcher=launcher)


def _two(rank: int, folder: str, family: str) -> None:
    run(family, Path(folder) / 'two', launcher='pytorch')


def losses(folder: Path) -> list[float]:
    (log,) = folder.glob('*/vis_data/scalars.json')
    return [
        line['loss'] for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line
    ]


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.parametrize('family', ['ar_32', 'lfq_32_sync'])
def test_the_same_losses_and_weights(family, tmp_path):
    run(family, tmp_path / 'one')
    run(family, tmp_path / 'micro', counts=2)
    run_in_two(_two, tmp_path, family)
    one = read_checkpoint(tmp_path / 'one' / 'iter_10.pth')['state_dict']
    for way in ('two', 'micro'):
        other = read_checkpoint(tmp_path / way / 'iter_10.pth')['state_dict']
        worst = max((one[name].float() - other[name].float()).abs().max().item() for name in one)
        assert worst <= 1e-5, f'{way}: weights differ by {worst:.2g}'
        assert len(losses(tmp_path / way)) == 10
        assert losses(tmp_path / way) == pytest.approx(losses(tmp_path / 'one'), rel=1e-5)
