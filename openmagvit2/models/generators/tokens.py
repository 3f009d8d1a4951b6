"""Inputs of a generator from images and conditions: sub-tokens, their positions, embeddings."""

from typing import Any

import torch
from torch import Tensor

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.models.generators.assembly import Assembly
from openmagvit2.models.generators.parts import code_rows
from openmagvit2.models.layers.rope import grid_cells


class Tokens(Assembly):
    """Convert images to sub-tokens and back."""

    def cells(self, device: torch.device | None = None) -> Tensor:
        """Return the coordinates of the tokens in raster order, int64 (T, axes)."""
        return grid_cells(self.grid, device)

    def split(self, indices: Tensor) -> Tensor:
        """Map indices (B, *token_shape) to sub-tokens (B, T, k)."""
        return self.factorization.split(indices)

    def merge(self, sub_indices: Tensor) -> Tensor:
        """Map sub-tokens (B, T, k) to indices (B, *token_shape)."""
        return self.factorization.merge(sub_indices, self.token_shape)

    @torch.no_grad()
    def tokenize(self, image: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1] to sub-tokens int64 (B, T, k).

        Raises:
            UserError: The shape of the tokens is not the model's, or, except in training, the
                encoder outputs NaN or infinity.
        """
        with without_autocast(image.device):
            out = self.tokenizer.encode(image)
        if not self.training:
            # The check synchronizes with the device, which a training step must avoid.
            out.check_finite('images')
        self._check_shape(out.indices, f'images of {tuple(image.shape[2:])} pixels make')
        return self.split(out.indices)

    def sub_indices(self, data: dict) -> Tensor:
        """Return the sub-tokens (B, T, k) of a batch of images or of cached indices."""
        if 'indices' not in data:
            return self.tokenize(data['image'])
        self._check_shape(data['indices'], 'the token cache has')
        return self.split(data['indices'])

    @torch.no_grad()
    def soft_tokens(self, data: dict, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw tokens of images from the quantizer's :meth:`soft_codes`.

        Args:
            data: A batch with ``image`` (B, 3, H, W) in [-1, 1].
            uniform: Numbers (B, T * k) in [0, 1).

        Returns:
            Sub-tokens int64 (B, T, k), and the distributions (B, T, k, V) that they are drawn from.

        Raises:
            UserError: The batch comes from a token cache; the quantizer has no soft codes.
        """
        if 'indices' in data:
            raise UserError(
                'model.soft_targets: a token cache keeps no distributions; train on the images '
                'themselves (train_dataloader.dataset), or set model.soft_targets=None.'
            )
        tokenizer, image = self.tokenizer, data['image']
        draws = uniform.unflatten(1, (self.num_tokens, -1))
        with without_autocast(image.device):
            z = tokenizer.encoder(tokenizer.pixels.to_network(image))
            settings = self.soft_targets or {}
            indices, targets = tokenizer.quantizer.soft_codes(z, **settings, uniform=draws)
        self._check_shape(indices, f'images of {tuple(image.shape[2:])} pixels make')
        return self.split(indices), targets

    def _check_shape(self, indices: Tensor, what: str) -> None:
        if indices.shape[1:] != self.token_shape:
            raise UserError(
                f'model.image_size and the tokenizer make tokens of the shape {self.token_shape}, '
                f'{what} {tuple(indices.shape[1:])}.'
            )

    def embed(self, condition: dict[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
        """Return the prefix (B, P, dim) of conditions, and backbone arguments: the pooled vector as
        ``condition`` if the backbone supports it.
        """
        prefix, pooled = self.conditioner.embed(condition, self.head.embeddings)
        return prefix, dict(condition=pooled) if 'condition' in self.backbone.supports else {}

    def rows(self) -> dict[str, Any]:
        """Return the ``rows`` argument of a head that embeds with code vectors; else nothing."""
        return dict(rows=code_rows(self.tokenizer.quantizer)) if self.head.needs_rows else {}
