"""Fixtures that the tests of token caches share."""

from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A tokenizer with seeded weights, whose codes vary."""
    torch.manual_seed(0)
    model = init_model(TINY / 'lfq_32.py')
    path = tmp_path_factory.mktemp('tokenizer') / 'tokenizer.pth'
    write_checkpoint(dict(state_dict=model.state_dict()), path)
    return path
