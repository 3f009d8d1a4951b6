"""The encoder's contract, and encoders that were written for version 1."""

import pytest
import torch
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.models.encoders import BaseEncoder, CnnEncoder


class Version1(BaseEncoder):
    """As version 1's pages showed it."""

    def __init__(self, *, out_channels: int) -> None:
        super().__init__()
        self.out_channels, self.downscale = out_channels, 4
        self.conv = nn.Conv2d(3, out_channels, 4, stride=4)

    def forward(self, image):
        return self.conv(image)


class ClassAttribute(Version1):
    downscale = 4


class Latent(BaseEncoder):
    stride, image_size = None, (8, 8)

    def grid(self, size):
        return (5,)

    def forward(self, image):
        self.check_size(image.shape[2:])
        return image.mean((2, 3))[..., None].expand(-1, -1, 5)


class Speechless(BaseEncoder):
    def forward(self, image):
        return image


@pytest.mark.parametrize('cls', [Version1, ClassAttribute])
def test_version_1_downscale_becomes_the_stride(cls):
    encoder = cls(out_channels=6)
    assert encoder.stride == (4, 4) and encoder.downscale == 4 and encoder.image_size is None
    assert encoder.grid((8, 20)) == (2, 5)
    assert encoder(torch.zeros(1, 3, 8, 20)).shape[2:] == (2, 5)


def test_stride_gives_downscale():
    encoder = CnnEncoder(out_channels=4, channels=32, channel_multipliers=(1, 1), patch_size=2)
    assert encoder.stride == (4, 4) and encoder.downscale == 4


def test_latent_tokens_have_no_stride():
    encoder = Latent()
    assert encoder.stride is None and encoder.grid((8, 8)) == (5,)
    assert encoder(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 5)
    with pytest.raises(UserError, match='8x16; Latent only accepts 8x8'):
        encoder(torch.zeros(2, 3, 8, 16))
    with pytest.raises(NotImplementedError, match='no single `downscale`'):
        encoder.downscale  # noqa: B018


def test_an_encoder_without_a_stride_is_named():
    with pytest.raises(NotImplementedError, match='Speechless must have the attribute `stride`'):
        Speechless().stride  # noqa: B018


def test_sizes_that_the_stride_does_not_divide():
    encoder = CnnEncoder(out_channels=4, channels=32, channel_multipliers=(1, 1))
    with pytest.raises(UserError, match='8x9; height and width must be divisible by 2'):
        encoder(torch.zeros(1, 3, 8, 9))
