"""Noise on input tokens."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError

CONFIG = 'tiny/ar_vqgan_32'


@pytest.fixture(scope='module')
def model():
    return init_model(CONFIG, cfg_options={'model.token_noise': 0.25})


def test_share_and_spread_of_the_noise(model):
    sub_indices = torch.zeros(100, 64, 1, dtype=torch.long)
    assert model.num_draws == 2 * 64
    given = model.teacher(100, 0, torch.rand(100, 128, generator=torch.manual_seed(0)))
    noisy = model.noisy(sub_indices, given['noise'])
    share = (noisy != 0).float().mean().item()
    assert share == pytest.approx(0.25 * 255 / 256, abs=4 * (0.19 / 6400) ** 0.5)
    values = noisy[noisy != 0].float()
    assert (
        values.min() < 10
        and values.max() > 245
        and values.mean().item() == pytest.approx(128, abs=8)
    )
    ends = torch.tensor([0.0, 1 - 2**-24]).view(1, 1, 2, 1).expand(1, 1, 2, 1)
    edges = model.noisy(sub_indices[:1, :2], torch.cat([torch.zeros_like(ends), ends], 1))
    assert edges.flatten().tolist() == [0, 255]


def test_targets_stay_clean(model):
    sub_indices = torch.randint(256, (2, 64, 1), generator=torch.manual_seed(0))
    noise = model.teacher(2, 0, torch.rand(2, 128, generator=torch.manual_seed(1)))['noise']
    condition = dict(label=torch.tensor([1, 2]))
    with torch.no_grad():
        torch.nn.init.normal_(model.head.classifiers[0].weight)
        found = model.losses(sub_indices, condition, noise=noise)['sub_token_0']
        context = model.context(model.noisy(sub_indices, noise), condition)
        logits = model.head.logits(context, sub_indices)[0]
        wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), sub_indices.flatten())
    torch.testing.assert_close(found, wanted)
    with pytest.raises(UserError, match='token_noise must be a number from 0 to 1'):
        init_model(CONFIG, cfg_options={'model.token_noise': 2.0})
