"""Names of the shipped configs."""

import pytest

from openmagvit2.apis import init_model, list_models


def test_names_stand_for_configs():
    names = list_models()
    assert {'lfq_256', 'tiny/lfq_32', 'quickstart/ar_28'} <= set(names)
    assert not any(name.startswith('_base_') for name in names)
    assert set(list_models('tiny/*')) == {name for name in names if name.startswith('tiny/')}
    model = init_model('tiny/fsq_32')
    assert model.quantizer.codebook_size == 200


def test_a_name_that_is_not_there():
    with pytest.raises(ValueError, match='tiny/lfq_23 does not exist'):
        init_model('tiny/lfq_23')
