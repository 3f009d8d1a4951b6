"""Assemble a generator: frozen tokenizer, factorization, conditioner, order, backbone, head."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from openmagvit2.checkpoint import load_tokenizer_weights
from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError, about
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.conditioners.base import Conditioner
from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.generators import parts
from openmagvit2.models.heads.base import Head
from openmagvit2.models.layers.arguments import handed
from openmagvit2.models.layers.rope import grid_cells
from openmagvit2.models.orders import Order
from openmagvit2.models.tokenizers.frozen import frozen_tokenizer
from openmagvit2.registry import (
    BACKBONES,
    CONDITIONERS,
    FACTORIZATIONS,
    HEADS,
    MODELS,
    ORDERS,
    Slot,
)
from openmagvit2.signatures import Count, Fraction

if TYPE_CHECKING:
    from openmagvit2.models.tokenizers import VisualTokenizer


class Assembly(BaseModel):
    """The parts of a generator, and the inputs that they make of images and conditions.

    Args:
        tokenizer: Config of a tokenizer. Its ``checkpoint`` key names the weights; without one,
            weights are random, drawn from ``seed``.
        backbone, head: Configs; ``grid``, ``dim``, ``num_heads`` and ``vocab_sizes`` are derived
            from the other parts.
        factorization: Config; one sub-token per codebook of the tokenizer by default. With a head
            that predicts whole tokens, a token is always one sub-token.
        conditioner: Config; ImageNet classes by default.
        order: Config of the token order; the default depends on the paradigm.
        image_size: Height and width of the images in pixels, or one number for squares; optional
            if the tokenizer accepts one size only. Together with the tokenizer, it determines the
            number of tokens.
        output_size: Height and width to which :meth:`decode_indices` resizes images, by bicubic
            interpolation without antialiasing, before clamping: LlamaGen's images of 384 pixels are
            evaluated at 256.
        input_dropout: Dropout on the input sequence, prefix included.
        soft_targets: ``dict(temperature=…)``: train on tokens drawn from the quantizer's
            ``soft_codes`` at this temperature, with these distributions as targets
            (RQ-Transformer). Requires images instead of a token cache, and one sub-token per
            codebook.
        data_preprocessor: Config; maps uint8 batches to [-1, 1] by default.
    """

    tokenizer: 'VisualTokenizer'
    factorization: TokenFactorization
    backbone: Backbone
    head: Head
    class_embedding: Conditioner
    order: Order
    # What metrics measure: see `evaluation.stages`.
    stage = 'generator'
    slots = dict(
        # The dict of a frozen tokenizer also names its weights.
        tokenizer=Slot(MODELS, beside=dict(checkpoint=None, seed=None)),
        factorization=FACTORIZATIONS,
        conditioner=CONDITIONERS,
        order=ORDERS,
        backbone=BACKBONES,
        head=HEADS,
        data_preprocessor=MODELS,
    )
    # What checkpoints store about the training data set, such as `classes`.
    dataset_meta: dict[str, Any] = {}
    # Type of the order if the config does not name one.
    default_order = 'Raster'

    def __init__(
        self,
        *,
        tokenizer: dict,
        backbone: dict,
        head: dict,
        factorization: dict | None = None,
        conditioner: dict | None = None,
        order: dict | None = None,
        image_size: Count | Sequence[Count] | None = None,
        output_size: Count | Sequence[Count] | None = None,
        input_dropout: Fraction = 0.1,
        soft_targets: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor or dict(type='ImagePreprocessor')))
        self.tokenizer, self.tokenizer_checkpoint = frozen_tokenizer(tokenizer)
        quantizer = self.tokenizer.quantizer
        self.grid = parts.image_grid(self.tokenizer, image_size)
        self.token_shape = tuple(quantizer.token_shape(self.grid))
        # A token is a position of the sequence; it may have several digits.
        self.num_tokens = math.prod(self.token_shape) // len(quantizer.codebook_sizes)
        self.factorization = parts.build_factorization(factorization, head, quantizer)
        given = self.backbone_arguments()
        self.backbone: Backbone = BACKBONES.build(handed(given, backbone, 'model.backbone'))
        self.head = parts.build_head(head, self.factorization.vocab_sizes, self.backbone, quantizer)
        conditioner = dict(type='ClassLabel') | (conditioner or {})
        given = dict(dim=self.backbone.dim)
        self.class_embedding: Conditioner = CONDITIONERS.build(
            handed(given, conditioner, 'model.conditioner')
        )
        order = dict(type=self.default_order) | (order or {})
        self.order: Order = ORDERS.build(handed(self.order_arguments(), order, 'model.order'))
        self.output_size = parts.sides(output_size, 'model.output_size')
        self.input_dropout = input_dropout
        self.soft_targets = soft_targets
        self.check_parts()

    # ---- parts -----------------------------------------------------------------------------------
    @property
    def conditioner(self) -> Conditioner:
        """The conditioner; state dicts keep its name of version 1, ``class_embedding``."""
        return self.class_embedding

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__('class_embedding' if name == 'conditioner' else name, value)

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if conditions are not labels."""
        return self.conditioner.num_classes

    @property
    def transformer(self) -> parts.Trainable:
        """The trained parts as one module; made on access, so state dicts name each tensor once."""
        return parts.Trainable(self.trained_parts(), self.losses)

    def losses(
        self, sub_indices: Tensor, condition: dict[str, Tensor], *args: Any, **given: Any
    ) -> dict[str, Tensor]:
        """Return the losses by name; training minimizes their sum.

        Args:
            sub_indices: Ground-truth sub-tokens, int64 (B, T, k).
            condition: Data of the conditioner.
            args, given: Arguments from the paradigm's ``teacher``.
        """
        raise NotImplementedError

    def trained_parts(self) -> dict[str, nn.Module]:
        """Return the trained parts by name, in the order of the optimizer's state."""
        return dict(class_embedding=self.class_embedding, backbone=self.backbone, head=self.head)

    def backbone_arguments(self) -> dict[str, Any]:
        """Return the arguments of the backbone that follow from the other parts."""
        return dict(grid=self.grid)

    def order_arguments(self) -> dict[str, Any]:
        """Return the arguments of the order that follow from the other parts."""
        return dict(num_tokens=self.num_tokens)

    def check_parts(self) -> None:
        """Check that the parts fit each other.

        Raises:
            UserError: A part needs a feature that another part lacks.
        """
        self.conditioner.check_tokens(self.head.embeddings)
        missing = sorted(self.order.needs - self.backbone.supports)
        if missing:
            raise UserError(
                f'model.order: {type(self.order).__name__} needs a backbone that supports '
                f'{" and ".join(missing)}; {type(self.backbone).__name__} does not.'
            )
        if self.soft_targets and not _is_temperature(dict(self.soft_targets)):
            raise UserError(
                f'model.soft_targets must be dict(temperature=…) with a positive number, or None, '
                f'got {dict(self.soft_targets)!r}.'
            )
        sizes = list(self.tokenizer.quantizer.codebook_sizes)
        if self.soft_targets and self.factorization.vocab_sizes != sizes:
            raise UserError(
                f'model.soft_targets: distributions are over codebooks of {sizes} codes, but '
                f'sub-tokens have {self.factorization.vocab_sizes}; use the default '
                f'model.factorization.'
            )

    def roles(self) -> dict[str, nn.Module]:
        """Return the modules that have an optimizer, by name."""
        return dict(transformer=self.transformer)

    def train(self, mode: bool = True) -> 'Assembly':
        """Set the mode; keep the tokenizer in eval mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def init_weights(self) -> None:
        """Load the tokenizer's weights; the Runner calls it before the first image is read.

        Raises:
            UserError: The tokenizer's checkpoint is missing or does not fit.
        """
        if self.tokenizer_checkpoint:
            with about('model.tokenizer.checkpoint'):
                load_tokenizer_weights(self.tokenizer, self.tokenizer_checkpoint)

    # ---- inputs ----------------------------------------------------------------------------------
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
        self._check_shape(out.indices, f'images of {tuple(image.shape[2:])} pixels give')
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
                'model.soft_targets: a token cache stores no distributions; train on images '
                '(train_dataloader.dataset), or set model.soft_targets=None.'
            )
        tokenizer, image = self.tokenizer, data['image']
        draws = uniform.unflatten(1, (self.num_tokens, -1))
        with without_autocast(image.device):
            z = tokenizer.encoder(tokenizer.pixels.to_network(image))
            settings = self.soft_targets or {}
            indices, targets = tokenizer.quantizer.soft_codes(z, **settings, uniform=draws)
        self._check_shape(indices, f'images of {tuple(image.shape[2:])} pixels give')
        return self.split(indices), targets

    def _check_shape(self, indices: Tensor, what: str) -> None:
        if indices.shape[1:] != self.token_shape:
            raise UserError(
                f'model.image_size and the tokenizer give tokens of shape {self.token_shape}, but '
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
        return dict(rows=parts.code_rows(self.tokenizer.quantizer)) if self.head.needs_rows else {}


def _is_temperature(settings: dict) -> bool:
    value: Any = settings.get('temperature')
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value > 0 and settings.keys() == {'temperature'}
