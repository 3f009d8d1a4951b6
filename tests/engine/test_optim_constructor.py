"""What the settings of optimizers may be."""

import pytest
from torch import nn

from openmagvit2.engine.optim.constructor import RoleOptimConstructor
from openmagvit2.errors import UserError


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
        r'optim_wrapper\.part\.optimizer\.betas must be a list of 2 numbers, as \[0.9, 0.999\]'
    )
    with pytest.raises(UserError, match=message):
        build({}, optimizer=dict(type='AdamW', betas=betas))
    assert build({}, optimizer=dict(type='AdamW', betas=[0.5, 0.9])).optimizer.defaults['betas']
    with pytest.raises(UserError, match=r'part\.optimizer\.etas must be a list of 2 numbers'):
        build({}, optimizer=dict(type='Rprop', etas=[0.5]))
