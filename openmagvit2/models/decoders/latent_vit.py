"""TiTok's decoder: map latent tokens to an image (Yu et al. 2024)."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.vit import LatentVit, patch_grid, random_vector
from openmagvit2.registry import DECODERS
from openmagvit2.signatures import Count, Weight


class PixelHead(nn.Module):
    """Map features to patches of pixels, followed by a convolution over the image."""

    def __init__(self, dim: int, out_channels: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.ffn = nn.Conv2d(dim, patch_size**2 * out_channels, 1)
        self.conv_out = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the output convolution."""
        return self.conv_out.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim, h, w) to (B, out_channels, H, W)."""
        # Channels are ordered (row, column, color) in a patch, unlike in pixel_shuffle.
        x = self.ffn(x).unflatten(1, (self.patch_size**2, -1)).transpose(1, 2).flatten(1, 2)
        return self.conv_out(F.pixel_shuffle(x, self.patch_size))


def code_logits(dim: int, codebook_size: int) -> nn.Sequential:
    """Build layers from features (B, dim, h, w) to logits of codes (B, codebook_size, h, w)."""
    layers = (nn.Conv2d(dim, 2 * dim, 1), nn.Tanh(), nn.Conv2d(2 * dim, codebook_size, 1))
    return nn.Sequential(*layers)


class CodeHead(nn.Module):
    """Map features to logits of another tokenizer's codes; names match :class:`ProxyHead`."""

    def __init__(self, dim: int, out_channels: int) -> None:
        super().__init__()
        self.ffn = code_logits(dim, out_channels)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the layer that outputs logits."""
        last = self.ffn[2]
        assert isinstance(last, nn.Conv2d)
        return last.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim, h, w) to (B, out_channels, h, w)."""
        return self.ffn(x)


class ProxyHead(nn.Module):
    """Map features to mixtures of the table rows of another tokenizer, the proxy, whose decoder
    maps them to an image.

    Args:
        dim: Width of the features.
        codebook_size, code_dim: Rows and columns of the proxy's table.
        decoder: The proxy's decoder module.
    """

    def __init__(self, dim: int, codebook_size: int, code_dim: int, decoder: BaseDecoder) -> None:
        super().__init__()
        self.ffn = code_logits(dim, codebook_size)
        self.table = nn.Parameter(torch.empty(codebook_size, code_dim))
        nn.init.uniform_(self.table, -1 / codebook_size, 1 / codebook_size)
        self.decoder = decoder

    @property
    def last_layer(self) -> Tensor:
        """Weight of the last layer of the proxy's decoder."""
        return self.decoder.last_layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim, h, w) to (B, out_channels, H, W)."""
        codes = torch.einsum('bkhw,kd->bdhw', self.ffn(x).softmax(1), self.table)
        return self.decoder(codes)


@DECODERS.register_module()
class LatentVitDecoder(BaseDecoder):
    """Vision transformer over the codes (B, in_channels, num_tokens) and one mask token per patch;
    the outputs of the mask tokens give the image. The image size is fixed.

    The defaults are TiTok-S-128's transformer.

    Args:
        in_channels: Number of channels of the codes; set by the tokenizer.
        out_channels: Number of channels of the output; set by the tokenizer.
        image_size, patch_size, num_tokens, dim, num_layers, num_heads: See
            :class:`LatentVitEncoder`.
        proxy: Rows and columns of another tokenizer's table, for example (1024, 256): the
            transformer then outputs mixtures of its rows, which ``proxy_decoder`` maps to pixels
            (TiTok's two-stage models). None: the transformer outputs what ``output`` selects.
        proxy_decoder: Config of the other tokenizer's decoder.
        output: Without ``proxy``: 'pixels', or 'codes' for logits of ``out_channels`` codes of
            another tokenizer, one position per patch (TiTok's first stage, with ``CodePixels``).
        initial_deviation: Deviation of the initial weights, except in the proxy's decoder; see
            :class:`LatentVitEncoder`.

    Raises:
        UserError: Only one of ``proxy`` and ``proxy_decoder`` is given.
    """

    slots: ClassVar = dict(proxy_decoder=DECODERS)

    def __init__(
        self,
        *,
        in_channels: Count,
        out_channels: Count = 3,
        image_size: Count | Sequence[Count] = 256,
        patch_size: Count = 16,
        num_tokens: Count = 128,
        dim: Count = 512,
        num_layers: int = 8,
        num_heads: Count = 8,
        proxy: Sequence[int] | None = None,
        proxy_decoder: dict | None = None,
        output: str = 'pixels',
        initial_deviation: Weight = 0.02,
    ) -> None:
        super().__init__()
        if (proxy is None) != (proxy_decoder is None):
            raise UserError('model.decoder: set both `proxy` and `proxy_decoder`, or neither.')
        check_choice('model.decoder.output', output, ('pixels', 'codes'))
        self.in_channels, self.out_channels = in_channels, out_channels
        self.image_size: tuple[int, ...] = as_pair(image_size)
        self.grid = (num_tokens,)
        self.patches = patch_grid(self.image_size, patch_size)
        number = self.patches[0] * self.patches[1]
        self.embed = nn.Linear(in_channels, dim)
        self.mask_token = random_vector(1, 1, dim)
        self.vit = LatentVit(number, num_tokens, dim, num_layers, num_heads)
        self.head: PixelHead | CodeHead | ProxyHead
        if output == 'codes' and proxy is None:
            self.head = CodeHead(dim, out_channels)
        elif proxy is None or proxy_decoder is None:
            self.head = PixelHead(dim, out_channels, patch_size)
        else:
            rows, width = proxy
            own = dict(proxy_decoder, in_channels=width, out_channels=out_channels)
            self.head = ProxyHead(dim, rows, width, DECODERS.build(own))
        init = partial(init_normal, deviation=initial_deviation)
        self.embed.apply(init)
        self.vit.apply(init)
        # The proxy's decoder keeps its own initial weights.
        (self.head.ffn if isinstance(self.head, ProxyHead) else self.head).apply(init)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the head's last convolution."""
        return self.head.last_layer

    def features(self, codes: Tensor) -> Tensor:
        """Map codes (B, in_channels, num_tokens) to features of the patches (B, dim, h, w)."""
        latents = self.embed(codes.transpose(1, 2))
        cells = self.mask_token.expand(len(codes), self.patches[0] * self.patches[1], -1)
        cells, _ = self.vit(cells, latents)
        return cells.transpose(1, 2).unflatten(2, self.patches)

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map (B, in_channels, num_tokens) to (B, out_channels, *image_size), or to logits
        (B, out_channels, h, w) with ``output='codes'``.
        """
        self.check_size(codes.shape[2:], size)
        return self.head(self.features(codes))
