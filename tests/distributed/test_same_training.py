"""A training gives the same numbers in one process, in two, and with micro-batches."""

from pathlib import Path

import pytest
import torch
from plot import read_curves
from two_processes import run_in_two

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.models.tokenizers.preprocessor import ImagePreprocessor
from openmagvit2.registry import MODELS
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@MODELS.register_module(force=True)
class DoublePreprocessor(ImagePreprocessor):
    """Preprocess images in float64."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch with images in float64."""
        data = super().forward(data, training)
        return data | dict(image=data['image'].double())


# For comparisons over ten iterations, as in lfq_32_sync.py.
CALM = {
    f'optim_wrapper.{role}.optimizer.{key}': value
    for role in ('autoencoder', 'discriminator')
    for key, value in dict(lr=3e-6, eps=1e-5).items()
}
CASES = {
    'ar_32': {},
    'lfq_32_sync': {},
    # Its discriminator has R1 and LeCAM of means.
    'magvit2_32': CALM | {'model.quantizer.entropy_sync': True},
    # In float64, because the weight is a ratio of norms in which most of a gradient cancels:
    # rounding in float32 changes it by 1e-4 after some steps.
    'lfq_32_sync adaptive': {
        'model.data_preprocessor': dict(type='DoublePreprocessor'),
        # LeCAM has float32 averages; the other cases test it.
        'model.training.adversarial.regularizers': [],
        'model.training.adversarial.first': 'discriminator',
        'model.training.adversarial.weight': dict(type='AdaptiveWeight'),
    },
}


def run(case: str, folder: Path, counts: int = 1, launcher: str = 'none') -> None:
    options = CASES[case] | {
        'train_cfg.max_iters': 10,
        'train_cfg.val_interval': 10,
        'val_dataloader.dataset.num_images': 10,
        'optim_wrapper.accumulative_counts': counts,
        # The splits differ by rounding, which is a thousand times larger in bfloat16.
        'optim_wrapper.dtype': 'float32',
        'default_hooks.logger.interval': 1,
    }
    family = case.split()[0]
    double = 'model.data_preprocessor' in options
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    try:
        train(load_config(TINY / f'{family}.py', options), str(folder), launcher=launcher)
    finally:
        torch.set_default_dtype(torch.float32)


def _two(rank: int, folder: str, case: str) -> None:
    run(case, Path(folder) / 'two', launcher='pytorch')


# Logged values; all but the loss belong to tokenizers.
LOGGED = ('loss', 'disc_loss', 'lecam', 'r1', 'adversarial_weight')


def losses(folder: Path) -> list[float]:
    curves = read_curves(folder)
    assert len(curves['loss']) == 10
    return [value for name in LOGGED for value in curves.get(name, {}).values()]


def assert_the_same(folder: Path, way: str) -> None:
    one, other = (
        read_checkpoint(folder / name / 'iter_10.pth')['state_dict'] for name in ('one', way)
    )
    worst = max((one[name].float() - other[name].float()).abs().max().item() for name in one)
    assert worst <= 1e-5, f'{way}: weights differ by {worst:.2g}'
    assert losses(folder / way) == pytest.approx(losses(folder / 'one'), rel=1e-5)


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.parametrize('case', ['ar_32', 'lfq_32_sync'])
def test_the_same_losses_and_weights(case, tmp_path):
    run(case, tmp_path / 'one')
    run(case, tmp_path / 'micro', counts=2)
    run_in_two(_two, tmp_path, case)
    for way in ('two', 'micro'):
        assert_the_same(tmp_path, way)


@pytest.mark.slow
def test_r1_and_lecam_of_means(tmp_path):
    test_the_same_losses_and_weights('magvit2_32', tmp_path)
    assert len(losses(tmp_path / 'one')) == 40


@pytest.mark.slow
def test_adaptive_weight_and_discriminator_first(tmp_path):
    run('lfq_32_sync adaptive', tmp_path / 'one')
    assert len(losses(tmp_path / 'one')) == 30
    run_in_two(_two, tmp_path, 'lfq_32_sync adaptive')
    assert_the_same(tmp_path, 'two')
