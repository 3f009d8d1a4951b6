"""The logged usage and perplexity, and the warning of a collapse, against manual computations."""

import logging
import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from openmagvit2.engine.hooks import CodebookUsageHook, codebook_usage
from openmagvit2.models.quantizers import LFQ


@pytest.fixture
def logged(monkeypatch):
    texts: list[tuple[str, int]] = []
    monkeypatch.setattr(
        codebook_usage, 'print_log', lambda text, logger, level: texts.append((text, level))
    )
    return texts


def start(name: str, hook: CodebookUsageHook) -> SimpleNamespace:
    model = nn.Module()
    model.quantizer = LFQ(num_bits=4)
    runner = SimpleNamespace(model=model, message_hub=MessageHub.get_instance(name))
    hook.before_train(runner)
    return runner


def signs(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)[:, :, None]


def test_counts_of_the_last_images(tmp_path, logged):
    hook = CodebookUsageHook(window=2, interval=1, warn_below=0.5)
    runner = start(tmp_path.name, hook)
    quantizer = runner.model.quantizer
    # Four images of one token each; the window holds the last two.
    for row in ([1, 1, 1, 1], [-1, -1, 1, 1], [1, -1, -1, -1], [-1, -1, -1, -1]):
        quantizer(signs(row))
    runner.model.eval()
    quantizer(signs([1, 1, -1, -1]))
    hook.after_train_iter(runner, 0)
    values = {
        name: runner.message_hub.get_scalar(f'train/train_{name}').current()
        for name in ('usage', 'perplexity')
    }
    assert values == pytest.approx(dict(usage=2 / 16, perplexity=math.exp(math.log(2))))
    assert not logged
    hook.after_train(runner)
    runner.model.train()
    quantizer(signs([1, 1, 1, 1]))
    assert len(hook.batches) == 2


def test_a_frozen_quantizer_counts_too(tmp_path, logged):
    """Frozen parts are in eval mode while the model trains."""
    hook = CodebookUsageHook(window=2, interval=1)
    runner = start(tmp_path.name, hook)
    runner.model.quantizer.eval()(signs([1, 1, 1, 1], [-1, 1, 1, 1]))
    hook.after_train_iter(runner, 0)
    assert runner.message_hub.get_scalar('train/train_usage').current() == 2 / 16


def test_a_collapse_is_a_warning_once_the_window_is_full(tmp_path, logged):
    hook = CodebookUsageHook(window=4, interval=1, warn_below=0.5)
    runner = start(tmp_path.name, hook)
    for step in range(4):
        runner.model.quantizer(signs([1, 1, 1, 1]))
        hook.after_train_iter(runner, step)
        assert bool(logged) == (step == 3)
    text, level = logged[0]
    assert 'use 1 of 16 codes, 25.0%' in text and level == logging.WARNING


def test_indices_beyond_the_codebook(tmp_path):
    hook = CodebookUsageHook(window=4, interval=1)
    runner = start(tmp_path.name, hook)
    hook.batches.append(torch.tensor([[3, 15], [16, 2]]))
    with pytest.raises(ValueError, match='gave the index 16, but its codebook_size is 16'):
        hook.after_train_iter(runner, 0)


def test_codebooks_are_counted_apart(tmp_path, logged):
    """Of two codebooks with 4 and 2 codes, the first collapses, which the mean alone would hide."""
    hook = CodebookUsageHook(window=1, interval=1, warn_below=0.6)
    runner = start(tmp_path.name, hook)
    hook.sizes = (4, 2)
    hook.batches.append(torch.tensor([[[3, 0], [3, 1], [3, 1], [3, 0]]]))
    hook.after_train_iter(runner, 0)
    values = {
        name: runner.message_hub.get_scalar(f'train/train_{name}').current()
        for name in ('usage', 'usage_0', 'usage_1', 'perplexity', 'perplexity_0', 'perplexity_1')
    }
    assert values == pytest.approx(
        dict(
            usage=(1 / 4 + 1) / 2,
            usage_0=1 / 4,
            usage_1=1,
            perplexity=1.5,
            perplexity_0=1,
            perplexity_1=2,
        )
    )
    assert len(logged) == 1 and 'use 1 of 4 codes of codebook 0, 25.0%' in logged[0][0]
    hook.batches.append(torch.tensor([[[3, 0], [0, 2]]]))
    with pytest.raises(ValueError, match='the index 2 in codebook 1, but its codebook_size is 2'):
        hook.after_train_iter(runner, 1)
