"""Every tiny model works with all of its weights in 16 bits."""

import numpy as np
import pytest
import torch

from openmagvit2.apis import Generator, Tokenizer, list_models
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config

NAMES = list_models('tiny/*')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('name', NAMES)
def test_tokens_and_pixels(name, dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    if 'tokenizer' in load_config(config_path(name)).model:
        model = Generator.from_config(name, dtype=dtype)
        found = model.sample([1, 2], seed=0)
    else:
        model = Tokenizer.from_config(name, dtype=dtype)
        found = model.decode(model.encode(images))
    assert {p.dtype for p in model.model.parameters() if p.is_floating_point()} >= {dtype}
    assert found.dtype == np.uint8 and found.shape == images.shape
