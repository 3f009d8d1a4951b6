"""Parts written after version 1's page on extending train and validate unchanged."""

import sys
from pathlib import Path

import pytest
import torch

from openmagvit2.config import load_config
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.registry import MODELS

ROOT = Path(__file__).parents[2]
# The page, word for word.
PAGE = '''
"""Signs of the encoder's output: LFQ without its entropy loss."""

import torch
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module()
class SignQuantizer(BaseQuantizer):
    def __init__(self, *, num_bits: int = 8) -> None:
        super().__init__()
        self.in_channels = self.code_dim = num_bits
        self.codebook_size = 2**num_bits

    def quantize(self, z):  # float32 (B, num_bits, *grid), whatever the autocast
        codes = torch.where(z > 0, 1.0, -1.0)
        losses = dict(commitment=(z - codes).square().mean())
        return QuantizerOutput(straight_through(z, codes), self.codes_to_indices(codes), losses)

    def codes_to_indices(self, codes):
        return sum((codes[:, i] > 0).long() << i for i in range(self.code_dim))

    def indices_to_codes(self, indices):
        return torch.stack([(indices >> i & 1) * 2.0 - 1 for i in range(self.code_dim)], 1)
'''
# "Any other slot is extended in the same way", after the contracts of that time.
OTHERS = """
import torch
from torch import nn
from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.discriminators.base import BaseDiscriminator
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.registry import DECODERS, DISCRIMINATORS, ENCODERS, LOSSES


@ENCODERS.register_module()
class Patches(BaseEncoder):
    def __init__(self, *, out_channels):
        super().__init__()
        self.downscale, self.out_channels = 4, out_channels
        self.conv = nn.Conv2d(3, out_channels, 4, stride=4)

    def forward(self, image):
        return self.conv(image)


@DECODERS.register_module()
class Unpatches(BaseDecoder):
    def __init__(self, *, in_channels):
        super().__init__()
        self.upscale, self.in_channels = 4, in_channels
        self.conv = nn.ConvTranspose2d(in_channels, 3, 4, stride=4)

    @property
    def last_layer(self):
        return self.conv.weight

    def forward(self, codes):
        return self.conv(codes)


@DISCRIMINATORS.register_module()
class OneConv(BaseDiscriminator):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 4, stride=4)

    def forward(self, image):
        return self.conv(image)


@LOSSES.register_module()
class Charbonnier(nn.Module):
    def forward(self, reconstruction, image):
        return ((reconstruction - image).square() + 1e-6).sqrt().mean()


@LOSSES.register_module()
class Pull(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer('seen', torch.zeros(()))

    def forward(self, real, fake):
        self.seen += 1
        return (real - fake).square().mean()
"""
CONFIG = f"""
_base_ = ['{ROOT.as_posix()}/configs/tiny/lfq_32.py']
custom_imports = dict(imports=['page_of_version_1'])
model = dict(
    quantizer=dict(type='SignQuantizer'), encoder=dict(_delete_=True, type='Patches'),
    decoder=dict(_delete_=True, type='Unpatches'),
    discriminator=dict(_delete_=True, type='OneConv'),
    reconstruction_loss=dict(type='Charbonnier'), perceptual_loss=dict(type='L2Loss'),
    lecam_loss=dict(type='Pull'), adversarial_weight=0.2, lecam_weight=0.5)
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / 'page_of_version_1.py').write_text(PAGE + OTHERS)
    (tmp_path / 'a.py').write_text(CONFIG)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    torch.manual_seed(0)
    return MODELS.build(load_config(tmp_path / 'a.py').model)


def test_parts_of_version_1_train_and_validate(model):
    optimizers = RoleOptimWrappers(
        **{
            name: AutocastOptimWrapper(torch.optim.SGD(role.parameters(), lr=0.1))
            for name, role in model.roles().items()
        }
    )
    data = dict(image=torch.randint(256, (2, 3, 30, 32), dtype=torch.uint8))
    padded = dict(image=data['image'][:, :, :28])
    log = model.train().train_step(padded, optimizers)
    terms = 0.25 * log['commitment'] + log['reconstruction'] + log['perceptual']
    torch.testing.assert_close(log['loss'], terms + 0.2 * log['adversarial'])
    torch.testing.assert_close(log['disc_loss'], log['disc_adversarial'] + 0.5 * log['lecam'])
    assert model.state_dict()['lecam.seen'] == 1
    (out,) = model.eval().val_step(data)
    assert out['reconstruction'].shape == (2, 3, 30, 32) and out['indices'].shape == (2, 8, 8)
    assert out['codebook_sizes'] == (256,)
    assert model.decode_indices(out['indices']).shape == (2, 3, 32, 32)
