"""Logged values stay on the device until the log is written."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub

from openmagvit2.config import load_config
from openmagvit2.engine.hooks import IterationLoggerHook, ScalarsHook
from openmagvit2.engine.hooks import scalars as module
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper


@pytest.fixture
def hub(request):
    return MessageHub(request.node.name)


def test_no_iteration_waits_for_a_number(hub):
    """Reading a number from a tensor on the device 'meta' fails."""
    weight = torch.nn.Parameter(torch.empty(3, 4, device='meta'))
    weight.grad = torch.empty_like(weight)
    wrapper = AutocastOptimWrapper(
        torch.optim.SGD([weight], lr=0.1), clip_grad=dict(max_norm=1.0), role='transformer'
    )
    wrapper.step()
    assert wrapper.grad_norm.is_meta
    hook, runner = ScalarsHook(), SimpleNamespace(message_hub=hub)
    hook.after_train_iter(runner, 0, outputs=dict(loss=wrapper.grad_norm))
    with pytest.raises((RuntimeError, NotImplementedError)):
        hook.flush(runner)


def test_histories_are_recorded_at_each_iteration(hub):
    hook, runner = ScalarsHook(), SimpleNamespace(message_hub=hub)
    values = torch.randn(5, requires_grad=True)
    for i, value in enumerate(values):
        hook.after_train_iter(runner, i, outputs=dict(loss=value, seen=i))
    assert not hub.log_scalars
    hook.flush(runner)
    assert hub.get_scalar('train/loss').data[0].tolist() == values.tolist()
    assert hub.get_scalar('train/seen').data[0].tolist() == [0, 1, 2, 3, 4]
    hook.after_train_iter(runner, 5, outputs=dict(loss=values[0]))
    hook.after_train(runner)
    assert hub.get_scalar('train/loss').data[0].tolist() == [*values.tolist(), values[0].item()]


def test_flushed_at_the_interval_of_the_log(hub, monkeypatch):
    reads = []
    numbers = module._numbers
    monkeypatch.setattr(module, '_numbers', lambda x: reads.append(len(x)) or numbers(x))
    log = SimpleNamespace(get_log_after_iter=lambda *_: ({}, ''))
    silent = SimpleNamespace(info=lambda *_: None, add_scalars=lambda *_, **__: None)
    scalars, logger = ScalarsHook(), IterationLoggerHook(interval=4)
    logger.json_log_path = ''
    runner = SimpleNamespace(
        message_hub=hub,
        hooks=[scalars, logger],
        max_iters=10,
        log_processor=log,
        logger=silent,
        visualizer=silent,
    )
    for i in range(10):
        for hook in runner.hooks:
            hook.after_train_iter(runner, i, outputs=dict(loss=torch.tensor(1.0)))
    assert reads == [1, 3, 4, 2]


def test_the_runtime_config_uses_the_hook():
    config = load_config('configs/_base_/runtime.py')
    assert config.default_hooks.runtime_info.type == 'ScalarsHook'
