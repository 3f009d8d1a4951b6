"""Names of the shipped configs."""

import pytest
from torch import nn
from torch.overrides import TorchFunctionMode

from openmagvit2.apis import init_model, list_models
from openmagvit2.errors import UserError


def test_names_stand_for_configs():
    names = list_models()
    assert {'lfq_256', 'tiny/lfq_32', 'quickstart/ar_28'} <= set(names)
    assert not any(name.startswith('_base_') for name in names)
    assert set(list_models('tiny/*')) == {name for name in names if name.startswith('tiny/')}
    model = init_model('tiny/fsq_32')
    assert model.quantizer.codebook_size == 200


def test_a_name_that_is_not_there():
    with pytest.raises(UserError, match=r'tiny/lfq_23 does not exist; did you mean tiny/\w+_32\?'):
        init_model('tiny/lfq_23')
    with pytest.raises(UserError, match='lfq_265 does not exist; did you mean lfq_256?'):
        init_model('lfq_265')


class Drawn(TorchFunctionMode):
    """Counts calls that draw initial weights."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += function in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('name', ['tiny/ar_32', 'tiny/titok_32'])
def test_a_model_without_memory_draws_nothing_and_is_the_same_model(name):
    models = {}
    for device, draws in (('cpu', True), ('meta', False)):
        with Drawn() as drawn:
            models[device] = init_model(name, device=device)
        assert (drawn.count > 0) == draws
    shapes = [
        {key: (x.shape, x.dtype) for key, x in model.state_dict().items()}
        for model in models.values()
    ]
    assert shapes[0] == shapes[1]
    assert {x.device.type for x in models['meta'].state_dict().values()} == {'meta'}
