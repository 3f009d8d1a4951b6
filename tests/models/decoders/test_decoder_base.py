"""Calling decoders written for version 1 and for version 2."""

import torch
from torch import nn

from openmagvit2.models.decoders.base import run_decoder


class Version1(nn.Module):
    def forward(self, codes):
        return codes + 1


class Version2(nn.Module):
    def forward(self, codes, size=None, noise=None):
        return codes, size, noise


def test_a_decoder_gets_what_it_accepts():
    codes = torch.zeros(1, 2, 3, 4)
    assert run_decoder(Version1(), codes, size=(6, 8)).equal(codes + 1)
    assert run_decoder(Version2(), codes) == (codes, None, None)
    assert run_decoder(Version2(), codes, size=(6, 8)) == (codes, (6, 8), None)
    # A decoder of another kind of module.
    assert run_decoder(nn.Identity(), codes, size=(6, 8)) is codes
