"""What must hold on one GPU: `pytest -m gpu`."""

import card_checks as checks
import pytest

pytestmark = checks.NEEDS_CARD
PARADIGMS = ['ar_32', 'maskgit_32', 'var_32']


@pytest.mark.parametrize('name', ['lfq_32', 'ar_32'])
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_steps_in_half_precision(name, dtype):
    checks.check_steps(name, 'cuda', dtype)


def test_compiled_blocks_have_the_same_gradients():
    pytest.importorskip('triton')
    checks.check_compiled('cuda')


@pytest.mark.parametrize('name', PARADIGMS)
def test_samples_are_those_of_the_cpu(name):
    checks.check_samples(name, 'cuda')


@pytest.mark.parametrize('name', PARADIGMS)
def test_samples_do_not_depend_on_the_batch(name):
    checks.check_batches(name, 'cuda')


def test_drawing_does_not_wait():
    checks.check_sampler('cuda')


def test_float32_is_as_exact_as_it_is_set():
    checks.check_float32('cuda')


def test_entropies_in_autocast():
    checks.check_entropies('cuda')


def test_memory_of_the_cache():
    checks.check_cache('cuda')


@pytest.mark.parametrize('name', ['lfq_32', 'ar_32'])
def test_resume_is_exact(name, tmp_path):
    checks.check_resume(name, tmp_path)
