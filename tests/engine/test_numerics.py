"""Numerical options of a config are applied, recorded, and refused if they have no effect."""

import os

import pytest
import torch

from openmagvit2.engine.checks import check_schedulers
from openmagvit2.engine.numerics import set_numerics
from openmagvit2.engine.record import numerics


@pytest.fixture(autouse=True)
def restored():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_numerical_options_are_applied_and_recorded(monkeypatch):
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG', raising=False)
    config = dict(
        seed=3, randomness=dict(deterministic=True), env_cfg=dict(float32_matmul_precision='high')
    )
    assert set_numerics(config) == dict(seed=3, deterministic=True)
    assert numerics()['float32_matmul_precision'] == 'high'
    # One of the two settings that make cuBLAS deterministic.
    assert os.environ.pop('CUBLAS_WORKSPACE_CONFIG') == ':4096:8'
    assert set_numerics(dict(randomness=dict(seed=5))) == dict(seed=5)
    assert 'CUBLAS_WORKSPACE_CONFIG' not in os.environ


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(env_cfg=dict(float32_matmul_precision='tf32')), 'one of highest, high, medium'),
        (dict(seed=1, randomness=dict(seed=2)), r'randomness\.seed=2 and seed=1'),
    ],
)
def test_mistakes(config, message):
    with pytest.raises(ValueError, match=message):
        set_numerics(config)


def test_schedulers_that_would_never_step_are_refused():
    step = dict(type='MultiStepLR', milestones=[10])
    for config in (step, [step], dict(autoencoder=[step])):
        with pytest.raises(ValueError, match='MultiStepLR counts epochs .* add by_epoch=False'):
            check_schedulers(config)
    check_schedulers(
        [dict(step, by_epoch=False), dict(step, by_epoch=True, convert_to_iter_based=True)]
    )
    check_schedulers(None)
