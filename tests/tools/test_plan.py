"""The length of a quickstart: a budget, a plan, and estimates from measured times."""

import re

import pytest

from openmagvit2.errors import UserError
from quickstart_lib.plan import (
    LEAST_STEPS,
    OTHER_SECONDS,
    Pace,
    Plan,
    Stage,
    likely_cause,
    read_plan,
)

# 400 + 200 seconds of training, and everything else at half the speed of the README's machine.
PLAN = Plan(None, 25.0, dict(tokenizer=Stage(4000, 0.1), generator=Stage(1000, 0.2)))


def test_the_length_is_that_of_all_stages_and_of_the_rest_at_this_rate():
    assert PLAN.total_minutes == pytest.approx((400 + 200 + 2 * OTHER_SECONDS) / 60)


@pytest.mark.parametrize('minutes', [8.0, 30.0])
def test_a_budget_scales_all_trainings_alike(minutes):
    plan = PLAN.within(minutes)
    assert plan.total_minutes == pytest.approx(minutes, rel=0.01)
    assert plan.stages['tokenizer'].steps == pytest.approx(
        4 * plan.stages['generator'].steps, rel=0.01
    )


def test_a_budget_too_small_for_any_training_leaves_a_few_steps():
    assert {stage.steps for stage in PLAN.within(0.01).stages.values()} == {LEAST_STEPS}


def test_a_second_start_keeps_the_plan(tmp_path):
    plan = PLAN.within(8.0)
    plan.write(tmp_path / 'plan.json')
    assert read_plan(tmp_path / 'plan.json', 8.0) == plan == read_plan(tmp_path / 'plan.json', None)
    with pytest.raises(
        UserError, match='contains a run of --minutes 8; use the same, or another --work-dir'
    ):
        read_plan(tmp_path / 'plan.json', 9.0)
    (tmp_path / 'plan.json').write_text('{"minutes": 11}')
    with pytest.raises(UserError, match='is not a valid plan'):
        read_plan(tmp_path / 'plan.json', None)


def test_an_estimate_expects_later_stages_to_be_as_late():
    pace = Pace(PLAN, announced=PLAN.total_minutes)
    on_time = pace.estimate('tokenizer', 4000, 0.1)
    assert on_time == pytest.approx(PLAN.total_minutes, rel=1e-3)
    assert pace.estimate('tokenizer', 4000, 0.3) == pytest.approx(3 * on_time, rel=1e-3)
    # No time of the tokenizer is left once the generator runs.
    assert pace.estimate('generator', 500, 0.2) == pytest.approx(
        (100 + 2 * OTHER_SECONDS) / 60, rel=1e-3
    )


def test_only_a_late_run_is_explained():
    pace = Pace(PLAN, announced=10.0)
    assert pace.report(14.9, 'a cause') == 'about 14.9 minutes in all'
    assert (
        pace.report(15.0, 'a cause')
        == 'about 15.0 minutes in all, where 10 were expected. Likely cause: a cause'
    )


@pytest.mark.parametrize(
    ('share', 'dtype', 'fastest', 'cause'),
    [
        (0.95, 'bfloat16', 'float32', 'optim_wrapper.dtype=auto'),
        (0.5, 'float32', 'float32', 'another program .* 50% of them'),
        (0.95, 'float32', 'float32', 'processor is slower'),
    ],
)
def test_the_likely_cause_comes_with_what_to_do(share, dtype, fastest, cause):
    assert re.search(cause, likely_cause(share, dtype, fastest))
