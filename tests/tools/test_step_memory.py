"""The memory of a training step that the studies log."""

from types import SimpleNamespace

import pytest
import torch

from studies.memory import StepMemoryHook


def test_the_second_iteration_is_measured():
    logged = []
    hub = SimpleNamespace(update_scalar=lambda name, value: logged.append((name, value)))
    runner, hook = SimpleNamespace(message_hub=hub), StepMemoryHook()
    hook.before_train(runner)
    weight = torch.ones(1000)
    for size in (5000, 1000, 9000):
        hook.before_train_iter(runner, 0)
        # Two results exist at the same time.
        first = weight[0] * torch.ones(size)
        del first
        hook.after_train_iter(runner, 0)
    assert logged == [('train/step_megabytes', pytest.approx(0.008, abs=1e-4))]
