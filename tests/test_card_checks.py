"""The checks of `tests/gpu/` on the CPU, which holds them too."""

import card_checks as checks
import pytest
import torch


@pytest.mark.parametrize(
    'check',
    [checks.check_sampler, checks.check_float32, checks.check_entropies, checks.check_cache],
    ids=lambda check: check.__name__,
)
def test_numbers(check):
    check('cpu')


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests/gpu asks the card')
@pytest.mark.parametrize('name', ['lfq_32', 'ar_32'])
def test_trainings(name, tmp_path):
    checks.check_steps(name, 'cpu', 'bfloat16')
    checks.check_resume(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['ar_32', 'maskgit_32', 'var_32'])
def test_samples(name):
    checks.check_samples(name, 'cpu')
    checks.check_batches(name, 'cpu')


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests/gpu asks the cards')
def test_data_parallel(tmp_path):
    checks.check_data_parallel('ar_32', 'RoleFSDP', tmp_path)
