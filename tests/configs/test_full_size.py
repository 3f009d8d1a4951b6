"""Every config of full size in torch's fake mode: passes of a training, a validation and a sample.

A tensor has a shape and no numbers there, so that models of four billion parameters fit; see
``tests/test_fake_cuda.py``. Networks that only measure, and backward passes, stay out.
"""

import pytest
import torch
from test_fake_cuda import Forward, batch, card, move, on_the_cpu  # noqa: F401
from torch import nn
from torch.utils._pytree import tree_leaves

from openmagvit2.apis import list_models
from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.engine.parallel.ddp import counted_step
from openmagvit2.models.losses import ClassifierLoss, LPIPSLoss
from openmagvit2.registry import MODELS

SMALL = ('tiny/', 'quickstart/', 'ablations/')
NAMES = [name for name in list_models() if not name.startswith(SMALL)]


def side_of(config) -> int:
    """Pixels of the last step of the training's pipeline that says a size."""
    steps = config.train_dataloader.dataset.pipeline
    size = [step['size'] for step in steps if 'size' in step][-1]
    return size if isinstance(size, int) else size[0]


@pytest.fixture
def no_numbers(monkeypatch):
    """Take out what looks at numbers while a model is built or measured."""
    monkeypatch.setattr(nn.init, 'trunc_normal_', lambda tensor, *args, **_: tensor)
    monkeypatch.setattr(torch, 'linspace', on_the_cpu(torch.linspace))
    for loss in (LPIPSLoss, ClassifierLoss):
        monkeypatch.setattr(loss, 'forward', lambda self, a, b: (a - b).abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_passes(name, card, no_numbers):  # noqa: F811
    config = load_config(config_path(name))
    data, sampling = batch(side_of(config)), dict(config.get('eval_sampling') or {})
    if 'steps' in sampling:
        sampling['steps'] = 2
    with card, torch.no_grad():
        with torch.device('cuda'):
            model = MODELS.build(config.model)
        move(model)
        # Before any schedule begins, and after all have begun.
        found = [
            counted_step(model.train(), data, Forward(), None, iteration)
            for iteration in (0, 400_000)
        ]
        found.append(model.eval().val_step(data))
        if config.model.type in ('MaskedGenerator', 'NextScaleGenerator'):
            found.append(model.images([0, 1], sampling))
        elif model.stage == 'generator':
            # Token by token takes long even without numbers.
            indices = torch.zeros(2, *model.token_shape, dtype=torch.int64, device='cuda')
            found.append(model.decode_indices(indices))
    tensors = [x for x in tree_leaves(found) if isinstance(x, torch.Tensor)]
    assert len(tensors) > 4 and {x.device.type for x in tensors} == {'cuda'}
