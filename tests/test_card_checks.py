"""The checks of `tests/gpu/`, on the CPU."""

import card_checks as checks
import pytest
import torch

from openmagvit2.config import load_config

GENERATORS = sorted(
    path.stem
    for path in checks.CONFIGS.glob('*.py')
    if 'tokenizer' in load_config(path).model and not path.stem.endswith('_official')
)


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


@pytest.mark.slow
@pytest.mark.parametrize('name', GENERATORS)
def test_the_same_tokens_in_any_batch(name):
    checks.check_batches(name, 'cpu')


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests/gpu asks the cards')
def test_data_parallel(tmp_path):
    checks.check_data_parallel('ar_32', 'RoleFSDP', tmp_path)
