"""The plain step in the benchmark of a training step computes the same as ours."""

import copy

import pytest
import torch

from benchmarks import train_step
from benchmarks.tokenizer import plain_networks
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.models.quantizers import LFQ
from openmagvit2.registry import MODELS


def test_the_plain_step_has_the_same_losses(monkeypatch):
    config = load_config(config_path('tiny/lfq_32'))
    model = MODELS.build(config.model).train()
    data = dict(image=torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8))
    sizes, dense = [], train_step.dense_entropies
    monkeypatch.setattr(
        train_step, 'dense_entropies', lambda x, *rest: sizes.append(x.shape) or dense(x, *rest)
    )
    logs = []
    for plain in (False, True):
        own = copy.deepcopy(model)
        wrapper = train_step.optimizers(config, own, 'float32')
        with train_step.contextlib.ExitStack() as stack:
            if plain:
                stack.enter_context(plain_networks())
                stack.enter_context(train_step.dense_entropy())
                stack.enter_context(train_step.twice(own, data))
            logs.append(own.train_step(data, wrapper, iteration=10))
    for name in ('loss', 'reconstruction', 'entropy', 'commitment', 'adversarial'):
        assert logs[1][name].item() == pytest.approx(logs[0][name].item(), rel=1e-4), name
    # The plain discriminator sees a reconstruction by the updated weights.
    assert logs[1]['disc_loss'].item() != logs[0]['disc_loss'].item()
    assert sizes == [(128, 8)] * 2


def test_other_entropies_stay_as_they_are():
    z = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    quantizer = LFQ(num_bits=6, spherical=True, entropy_groups=3)
    expected = quantizer.entropies(z)
    with train_step.dense_entropy():
        assert all(a.equal(b) for a, b in zip(quantizer.entropies(z), expected, strict=True))
