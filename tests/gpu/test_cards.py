"""Data parallelism on two GPUs, or on one if there is only one: `pytest -m gpu`."""

import card_checks as checks
import pytest

pytestmark = checks.NEEDS_CARD


@pytest.mark.parametrize('name', ['lfq_32_sync', 'ar_32'])
def test_data_parallel_trains_as_one_process(name, tmp_path):
    checks.check_data_parallel(name, 'RoleDDP', tmp_path)


def test_sharded_trains_as_one_process(tmp_path):
    checks.check_data_parallel('ar_32', 'RoleFSDP', tmp_path)
