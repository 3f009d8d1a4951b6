"""Generators on an imitated GPU: no tensor stays on another device, and no pass synchronizes."""

import pytest
import torch
from fake_card import fake_card
from generator_parts import generator
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_leaves

from openmagvit2.models.samplers import Finite, build_sampler

RESIDUAL = dict(type='Residual', depth=2, quantizer=dict(type='VQ', codebook_size=6, code_dim=4))
KINDS = {
    'plain': dict(),
    'single': dict(head=dict(type='SingleHead')),
    'vectors': dict(
        quantizer=RESIDUAL,
        factorization=None,
        head=dict(type='SeparateHead', embedding='CodeEmbedding'),
    ),
    'tokens': dict(
        conditioner=dict(type='TokenLabel', num_classes=5, rows='behind'),
        head=dict(type='SeparateHead', more_rows=5),
    ),
}


@fake_card
@pytest.mark.parametrize('kind', KINDS)
def test_losses_likelihoods_and_samples(kind, monkeypatch):
    # The one place that waits, after the last token.
    monkeypatch.setattr(Finite, 'check', lambda self: None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device('cuda'):
            model = generator(**KINDS[kind])
        image = torch.zeros(2, 3, 4, 6, device='cuda')
        condition = model.conditioner.drop(
            dict(label=torch.zeros(2, dtype=torch.int64, device='cuda'))
        )
        with torch.no_grad():
            sub_indices = model.train().sub_indices(dict(image=image))
            losses = model.losses(sub_indices, condition)
            nll = model.eval().nll(sub_indices, condition)
            sampler = build_sampler(dict(guidance=1.0 if kind == 'tokens' else 2.0, top_k=3))
            if sampler.guided:
                null = model.conditioner.null(2)
                condition = {name: torch.cat([x, null[name]]) for name, x in condition.items()}
            random = torch.rand(2, *model.draw_shape(sampler), device='cuda')
            indices = model.merge(model.decode(condition, sampler, random))
        found = [sub_indices, nll, indices, *tree_leaves(losses)]
        assert {x.device.type for x in found} == {'cuda'} and indices.shape[0] == 2
