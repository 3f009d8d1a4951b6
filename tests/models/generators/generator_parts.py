"""Small generators over several kinds of tokenizers."""

from typing import Any

import torch
from torch import nn

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.registry import MODELS


class Flat(BaseEncoder):
    """Means of patches, mixed by a 1x1 convolution, in any number of dimensions."""

    def __init__(self, *, stride, out_channels=1) -> None:
        super().__init__()
        self.stride, self.out_channels = tuple(stride), out_channels
        self.mix = nn.Linear(3, out_channels)

    def forward(self, image):
        for axis, step in enumerate(self.stride):
            image = image.unflatten(2 + axis, (-1, step)).mean(3 + axis)
        return self.mix(image.movedim(1, -1)).movedim(-1, 1)


class Constant(nn.Module):
    """A decoder of nothing."""

    def __init__(self, *, in_channels=1, out_channels=3) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))


class Table(BaseQuantizer):
    """Nearest of four numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.in_channels = self.code_dim = 1
        self.codebook_sizes = (4,)
        self.register_buffer('table', torch.tensor([-1.0, -0.3, 0.3, 1.0]))

    def distances(self, z):
        return (z.flatten(2)[:, 0, :, None] - self.table).square()

    def quantize(self, z):
        indices = self.distances(z).argmin(-1).unflatten(1, z.shape[2:])
        return QuantizerOutput(self.indices_to_codes(indices), indices)

    def indices_to_codes(self, indices):
        return self.table[indices][:, None]

    def soft_codes(self, z, temperature, uniform=None):
        p = (-self.distances(z) / temperature).softmax(-1)
        drawn = (p.cumsum(-1) <= uniform).sum(-1).clamp_max(3)
        return drawn.unflatten(1, z.shape[2:]), p[:, :, None]


def generator(
    image_size: Any = (4, 6), stride: Any = (2, 2), quantizer: Any = None, **options: Any
) -> nn.Module:
    """An auto-regressive generator with random weights, in eval mode."""
    torch.manual_seed(0)
    config = dict(
        type='AutoregressiveGenerator',
        tokenizer=dict(
            type='VisualTokenizer',
            encoder=dict(type=Flat, stride=stride),
            quantizer=quantizer or dict(type='LFQ', num_bits=4),
            decoder=dict(type=Constant),
        ),
        factorization=dict(type='TokenFactorization', bits=[2, 2]),
        backbone=dict(type='Llama', dim=32, num_layers=2, num_heads=2, dropout=0.0),
        head=dict(type='NextSubTokenHead', num_layers=1, dropout=0.0),
        conditioner=dict(type='ClassLabel', num_classes=5, dropout=0.0),
        image_size=image_size,
        input_dropout=0.0,
    )
    model = MODELS.build(config | options).eval()
    for classifier in model.head.classifiers:
        nn.init.normal_(classifier.weight, 0, 0.5)
    return model
