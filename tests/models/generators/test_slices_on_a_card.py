"""The masked and the next-scale generator on an imitated GPU: no tensor stays on another device,
and no pass synchronizes.
"""

import pytest
import torch
from fake_card import fake_card
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_leaves

from openmagvit2.config import load_config
from openmagvit2.models.samplers import Finite, MaskedSampler, SubTokenSampler
from openmagvit2.registry import MODELS

SAMPLERS = {
    'maskgit_32': MaskedSampler(steps=3),
    'var_32': SubTokenSampler(guidance=2.0, schedule='linear', top_k=3),
}


@fake_card
@pytest.mark.parametrize('name', SAMPLERS)
def test_losses_likelihoods_and_samples(name, monkeypatch):
    monkeypatch.setattr(Finite, 'check', lambda self: None)
    config, sampler = load_config(f'configs/tiny/{name}.py').model, SAMPLERS[name]
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device('cuda'):
            model = MODELS.build(config)
        image = torch.zeros(2, 3, 32, 32, device='cuda')
        condition = dict(label=torch.zeros(2, dtype=torch.int64, device='cuda'))
        draws = torch.rand(2, model.num_draws, device='cuda') if model.num_draws else None
        with torch.no_grad():
            sub_indices = model.train().sub_indices(dict(image=image))
            losses = model.losses(sub_indices, condition, **model.teacher(2, 0, draws))
            nll = model.eval().nll(sub_indices, condition)
            if sampler.guided:
                null = model.conditioner.null(2)
                condition = {key: torch.cat([x, null[key]]) for key, x in condition.items()}
            random = torch.rand(2, *model.draw_shape(sampler), device='cuda')
            indices = model.merge(model.decode(condition, sampler, random))
        found = [sub_indices, nll, indices, *tree_leaves(losses)]
        assert {x.device.type for x in found} == {'cuda'} and len(indices) == 2
