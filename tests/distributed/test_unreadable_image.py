"""If one process cannot read an image, all processes save at the same iteration and end."""

import itertools
from pathlib import Path

import pytest
from two_processes import run_in_two

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine import loops
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'ar_32.py'


def run(folder: Path, resume: bool = False) -> None:
    options = {
        'train_cfg.max_iters': 6,
        'train_cfg.val_interval': 6,
        'val_dataloader.dataset.num_images': 4,
        'global_batch_size': 8,
        'model.backbone.dropout': 0.1,
    }
    train(load_config(CONFIG, options), str(folder), resume, 'pytorch')


def _work(rank: int, folder: str) -> None:
    broken, real, calls = Path(folder, 'broken'), loops._next, itertools.count()
    if rank == 1:
        loops._next = lambda batches: (
            ({}, UserError('Image x.')) if next(calls) == 3 else real(batches)
        )
    message = 'Another process could not read its images' if rank == 0 else 'Image x'
    with pytest.raises(UserError, match=message):
        run(broken)
    loops._next = real
    run(broken, resume=True)
    run(Path(folder, 'straight'))


@pytest.mark.slow
@pytest.mark.smoke
def test_nothing_is_lost_and_the_resume_is_exact(tmp_path):
    run_in_two(_work, tmp_path)
    assert len(read_checkpoint(tmp_path / 'broken' / 'iter_3.pth')['random_states']) == 2
    a, b = (read_checkpoint(tmp_path / way / 'iter_6.pth') for way in ('broken', 'straight'))
    assert all(value.equal(b['state_dict'][name]) for name, value in a['state_dict'].items())
