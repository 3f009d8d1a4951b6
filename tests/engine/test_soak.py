"""Trainings that are killed repeatedly end like uninterrupted ones; see ``soak.py``."""

import pytest
import soak


def check(result: soak.Result, kills: int) -> None:
    print(result)
    assert result.kills.total() == kills and result.resumes >= kills
    assert not result.unreadable and not result.different, result


@pytest.mark.slow
@pytest.mark.smoke
def test_three_kills(tmp_path):
    """Kill a tokenizer's training with two loader workers while saving, training and validating."""
    check(soak.soak(tmp_path, kills=3), 3)


@pytest.mark.slow
def test_thirty_kills(tmp_path):
    check(soak.soak(tmp_path, kills=30), 30)


def test_the_comparison_finds_a_different_bit():
    a, b = ({'x': [soak.torch.tensor([0.0, float('nan')])], 'y': 1} for _ in range(2))
    result = soak.Result()
    soak._compare(a, b, 'run', result)
    assert not result.different
    b['x'][0][0] = -0.0
    del b['y']
    soak._compare(a, b, 'run', result)
    assert sorted(result.different) == ['run.x.0', 'run.y']
