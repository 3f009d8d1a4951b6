"""Valid and invalid settings of optimizers."""

import pytest
import torch
from torch import nn

from openmagvit2.engine.optim.constructor import RoleOptimConstructor
from openmagvit2.errors import UserError
from openmagvit2.registry import OPTIMIZERS


class Model(nn.Linear):
    def roles(self):
        return dict(part=self)


def build(common: dict, **part):
    settings = dict(optimizer=dict(type='SGD', lr=0.1)) | part
    return RoleOptimConstructor(common | dict(part=settings))(Model(2, 2))['part']


def test_none_leaves_a_common_key_to_its_default():
    wrapper = build(dict(accumulative_counts=None, clip_grad=None, dtype=None))
    assert wrapper._accumulative_counts == 1


def test_an_unknown_key_of_a_role():
    with pytest.raises(UserError, match=r'key `optim_wrapper\.part\.a`. Known there: .*clip_grad'):
        build({}, a=1)
    assert build({}, no_decay_1d=True, no_decay=['a'], clip_grad=dict(max_norm=1)).clip_grad_kwargs


@pytest.mark.parametrize('betas', [(), (0.9,), (0.9, 0.9, 0.9), 0.9, None])
def test_settings_of_several_numbers(betas):
    message = (
        r'optim_wrapper\.part\.optimizer\.betas must be a list of 2 numbers, such as \[0.9, 0.999\]'
    )
    with pytest.raises(UserError, match=message):
        build({}, optimizer=dict(type='AdamW', betas=betas))
    assert build({}, optimizer=dict(type='AdamW', betas=[0.5, 0.9])).optimizer.defaults['betas']
    with pytest.raises(UserError, match=r'part\.optimizer\.etas must be a list of 2 numbers'):
        build({}, optimizer=dict(type='Rprop', etas=[0.5]))


@pytest.mark.parametrize(
    ('optimizer', 'text'),
    [
        (dict(type='AdamW', capturable=True), 'capturable=True'),
        (dict(type='AdamW', fused=True, foreach=True), '`fused` and `foreach`'),
        (dict(type='LBFGS'), 'closure'),
        (dict(type='SparseAdam'), 'dense gradients'),
    ],
)
def test_what_torch_checks_at_the_first_step(optimizer, text):
    with pytest.raises(UserError, match=rf'^optim_wrapper\.part\.optimizer: .*{text}'):
        build({}, optimizer=optimizer)


def test_a_users_optimizer_makes_no_trial_step():
    class Own(torch.optim.SGD):
        def step(self):
            raise RuntimeError('a bug')

    OPTIMIZERS.register_module(module=Own)
    try:
        assert type(build({}, optimizer=dict(type='Own', lr=0.1)).optimizer) is Own
    finally:
        OPTIMIZERS.module_dict.pop('Own')
