"""What the tools tell of an error."""

import pytest
from torch.utils.data import DataLoader

from openmagvit2.datasets import FashionMNIST
from openmagvit2.engine import launch


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_mistake_is_one_sentence_with_and_without_workers(num_workers):
    data = FashionMNIST(num_images=10, pipeline=[dict(type='CenterCrop', size=64)])
    with pytest.raises(ValueError) as caught:
        next(iter(DataLoader(data, num_workers=num_workers)))
    assert (
        launch.sentence(caught.value)
        == 'CenterCrop(size=64) got an image of 28x28; put Resize(size=64) before it.'
    )


@pytest.mark.parametrize(('launcher', 'name'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_a_launcher_outside_its_environment(launcher, name, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher}: {name} is not set'):
        launch.start(launcher)
