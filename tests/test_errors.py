"""Value checks name what is wrong."""

import pytest

from openmagvit2.errors import UserError, check_choice


@pytest.mark.parametrize('value', ['c', None, [], {}])
def test_other_values_are_named_with_the_known_ones(value):
    with pytest.raises(UserError) as error:
        check_choice('model.part.name', value, dict(a=1, b=2))
    assert str(error.value) == f'model.part.name must be one of a, b, got {value!r}.'


def test_known_values_pass():
    for value in (True, None, 'a'):
        check_choice('model.part.name', value, (True, None, 'a'))
