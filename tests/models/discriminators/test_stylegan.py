"""StyleGAN's discriminator: published sizes, and sizes that do not fit."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.discriminators import StyleGAN


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (dict(), 23_998_017),
        (dict(image_size=128, channels=128, channel_multipliers=(2, 4, 4, 4, 4)), 23_880_833),
        (dict(image_size=256, channels=128, channel_multipliers=(2, 4, 4, 4, 4)), 36_463_745),
    ],
)
def test_published_sizes(arguments, expected):
    with torch.device('meta'):
        model = StyleGAN(**arguments)
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()


def test_another_image_size_is_an_error():
    model = StyleGAN(image_size=16, channels=8, channel_multipliers=(1, 1))
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 1, 1, 1)
    with pytest.raises(UserError, match=r'adversarial\.discriminator\.image_size is 16'):
        model(torch.zeros(2, 3, 32, 32))
    with pytest.raises(UserError, match='multiple of 4'):
        StyleGAN(image_size=18, channel_multipliers=(1, 1))
