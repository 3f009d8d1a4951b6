"""One training, the same numbers: in one process, in two, and with micro-batches."""

import json
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmagvit2.apis.running import train
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
OPTIONS = {
    'ar_32': {},
    'lfq_32': {
        'model.quantizer.entropy_sync': True,
        'model.discriminator': dict(_delete_=True, type='BlurPatchGAN', channels=32, num_stages=2),
    },
}


# A tokenizer stops after the iterations that are compared.
LENGTHS = dict(ar_32=10, lfq_32=3)


def run(family: str, folder: Path, counts: int = 1, launcher: str = 'none') -> None:
    options = {
        'train_cfg.max_iters': LENGTHS[family],
        'train_cfg.val_interval': LENGTHS[family],
        'val_dataloader.dataset.num_images': 10,
        'optim_wrapper.accumulative_counts': counts,
        'default_hooks.logger.interval': 1,
        'experiment_name': f'{folder.parent.name}-{folder.name}',
        **OPTIONS[family],
    }
    train(load_config(TINY / f'{family}.py', options), str(folder), launcher=launcher)


def _two(rank: int, family: str, folder: str) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    run(family, Path(folder) / 'two', launcher='pytorch')
    dist.destroy_process_group()


def losses(folder: Path) -> list[float]:
    (log,) = folder.glob('*/vis_data/scalars.json')
    return [line['loss'] for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]


@pytest.mark.slow
@pytest.mark.smoke
def test_a_generator_trains_the_same(tmp_path):
    run('ar_32', tmp_path / 'one')
    run('ar_32', tmp_path / 'micro', counts=2)
    mp.spawn(_two, ('ar_32', str(tmp_path)), nprocs=2)
    one = read_checkpoint(tmp_path / 'one' / 'iter_10.pth')['state_dict']
    for way in ('two', 'micro'):
        other = read_checkpoint(tmp_path / way / 'iter_10.pth')['state_dict']
        worst = max((one[name].float() - other[name].float()).abs().max().item() for name in one)
        assert worst <= 1e-5, f'{way}: weights differ by {worst:.2g}'
        assert losses(tmp_path / way) == pytest.approx(losses(tmp_path / 'one'), rel=1e-5)


@pytest.mark.slow
@pytest.mark.smoke
def test_a_tokenizer_trains_the_same_until_a_code_flips(tmp_path):
    """Rounding decides the sign of a latent near zero sooner or later, and from there two runs part: the first steps are compared.

    Micro-batches are left out: each has an entropy of its own, as ``entropy_sync`` joins processes only.
    """
    run('lfq_32', tmp_path / 'one')
    mp.spawn(_two, ('lfq_32', str(tmp_path)), nprocs=2)
    assert losses(tmp_path / 'two') == pytest.approx(losses(tmp_path / 'one'), rel=1e-5)
