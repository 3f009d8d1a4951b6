"""Tiny twins learn in 300 iterations what docs/guides/twins.md states, in about a minute each."""

from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
# PSNR of the mean training image on the 100 test images; a twin must be 3 dB better.
MEAN_IMAGE_PSNR = 11.94


def trained(name: str, folder: Path, **options) -> dict[str, float]:
    """Train a twin and return the metrics of its last validation."""
    options = {
        'train_cfg.max_iters': 300,
        'train_cfg.val_interval': None,
        **options,
    }
    return train(load_config(TINY / f'{name}.py', options), str(folder)).val_loop.run()


@pytest.mark.slow
@pytest.mark.parametrize('name', ['ibq_32', 'infinity_32', 'show_o_32', 'maskgit_vq_32'])
def test_an_entropy_loss_keeps_most_codes_in_use(tmp_path, name):
    metrics = trained(name, tmp_path / name)
    assert metrics['psnr'] > MEAN_IMAGE_PSNR + 3 and metrics['usage'] > 0.5


@pytest.mark.slow
def test_two_stages_of_titok_go_beyond_the_mean_image(tmp_path):
    proxy, first = tmp_path / 'proxy', tmp_path / 'first'
    trained('titok_proxy_32', proxy)
    file = str(proxy / 'iter_300.pth')
    trained('titok_stage1_32', first, **{'model.pixels.tokenizer.checkpoint': file})
    file = str(first / 'iter_300.pth')
    options = {
        'model.training.start.checkpoint': file,
        'model.training.freeze': ('encoder', 'quantizer'),
    }
    metrics = trained('titok_stage2_32', tmp_path / 'second', **options)
    assert metrics['psnr'] > MEAN_IMAGE_PSNR + 3 and metrics['usage'] > 0.5
