"""Training on a device without autocast, such as Apple's before torch 2.5."""

import pytest
import torch
from test_fake_cuda import batch

from openmagvit2.apis.models import config_path
from openmagvit2.config import load_config
from openmagvit2.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS


@pytest.mark.parametrize('name', ['lfq_32', 'vq_32', 'rq_32', 'magvit2_32', 'ar_32', 'var_32'])
def test_no_part_uses_autocast(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("User specified an unsupported autocast device_type 'mps'")

    monkeypatch.setattr(torch.amp, 'is_autocast_available', lambda kind: False)
    monkeypatch.setattr(torch, 'autocast', refuse)
    config = load_config(config_path(f'tiny/{name}'))
    model = MODELS.build(config.model)
    settings = {k: v for k, v in config.optim_wrapper.items() if k != 'constructor'}
    wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=config.optim_wrapper['constructor'],
            optim_wrapper_cfg=settings | dict(dtype='float32'),
        )
    )(model)
    data = batch(32)
    log = model.train().train_step(data, wrappers, iteration=10)
    assert log['loss'].isfinite()
    assert model.eval().val_step(data)
