"""Checks of arguments that several parts have."""

import pytest

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import check_choice


@pytest.mark.parametrize('value', ['c', None, [], {}])
def test_other_values_are_named_with_the_known_ones(value):
    with pytest.raises(UserError) as error:
        check_choice('model.part.name', value, dict(a=1, b=2))
    assert str(error.value) == f'model.part.name must be one of a, b, got {value!r}.'


def test_known_values_pass():
    for value in (True, None, 'a'):
        check_choice('model.part.name', value, (True, None, 'a'))
