"""Fixtures shared by the tests of the main API."""

import pytest
import torch

from openmagvit2.apis import Tokenizer


@pytest.fixture(scope='module')
def tokenizer():
    """A tokenizer with seeded random weights."""
    torch.manual_seed(0)
    return Tokenizer.from_config('tiny/lfq_32', device='cpu')
