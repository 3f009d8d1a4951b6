"""Comparison of generated images with a reference, as they are sampled and from a file of the same
samples.
"""

import numpy as np
import pytest
import torch

from openmagvit2.apis import Generator, init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import TimmFeatures
from openmagvit2.evaluation.sample_set import SampleSet
from openmagvit2.workflows.compare import Generated, compare_sets
from openmagvit2.workflows.sample import sample_npz


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    model = init_model('tiny/ar_32')
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    return tmp_path / 'model.pth'


def test_samples_on_the_fly_are_those_of_the_file(checkpoint, tmp_path):
    generator = Generator.from_config('tiny/ar_32', checkpoint)
    sample_npz(generator, tmp_path / 'samples.npz', range(10), 2, seed=3)
    sampled = SampleSet(generator.model, None, 2, generator.sampling, seed=3)
    with np.load(tmp_path / 'samples.npz') as file:
        batches = list(sampled.batches(7))
        assert [len(batch) for batch in batches] == [7, 7, 6] and len(sampled) == 20
        assert np.abs(np.concatenate(batches).astype(int) - file['arr_0']).max() <= 1

    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / 'reference.npz', arr_0=rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    )
    torch.save(TimmFeatures().network.state_dict(), tmp_path / 'network.pth')
    settings = dict(
        features=dict(type='TimmFeatures', weights=str(tmp_path / 'network.pth'), size=64),
        batch_size=7,
    )
    from_file = compare_sets(tmp_path / 'samples.npz', tmp_path / 'reference.npz', **settings)
    generated = Generated('tiny/ar_32', checkpoint, num_per_class=2, seed=3)
    live = compare_sets(generated, tmp_path / 'reference.npz', **settings)
    assert live.values == pytest.approx(from_file.values, rel=1e-2)
    assert live.values['fd_efficientnet_lite0'] > 0
    assert live.samples['sampling'] == dict(guidance=2.0)
    assert live.samples['count'] == 20
    assert live.samples['seed'] == 3
    assert live.reference == from_file.reference and len(live.samples['sha256']) == 64


def test_mistakes(checkpoint, tmp_path):
    with pytest.raises(UserError, match='--num-per-class must be at least 1, got 0'):
        Generated('tiny/ar_32', checkpoint, num_per_class=0)
    with pytest.raises(ValueError, match='holds no images'):
        (tmp_path / 'empty').mkdir()
        compare_sets(checkpoint, tmp_path / 'empty')


def test_bugs_in_a_users_network_are_not_reported_as_wrong_options(tmp_path):
    class Broken(TimmFeatures):
        def __init__(self) -> None:
            len(3)

    files = (tmp_path / 'a.npz', tmp_path / 'b.npz')
    with pytest.raises(TypeError, match='has no len'):
        compare_sets(*files, features=dict(type=Broken))
    with pytest.raises(UserError, match='^--features-options: Broken has no argument `weight`'):
        compare_sets(*files, features=dict(type=Broken, weight='x'))
