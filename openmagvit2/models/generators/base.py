"""Stage II: a frozen tokenizer, and a transformer that predicts the sub-tokens of its indices
(paper §2.3). What all paradigms share.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from openmagvit2.checkpoint import load_tokenizer_weights
from openmagvit2.errors import UserError
from openmagvit2.models.generators import parts
from openmagvit2.models.generators.sampling import Sampling
from openmagvit2.models.generators.training import more_uniforms
from openmagvit2.registry import (
    BACKBONES,
    CONDITIONERS,
    FACTORIZATIONS,
    HEADS,
    MODELS,
    ORDERS,
)
from openmagvit2.signatures import Slot


class BaseGenerator(Sampling, BaseModel):
    """Images of a condition as tokens of a frozen tokenizer.

    A paradigm implements :meth:`losses`, :meth:`nll` and :meth:`decode`.

    Args:
        tokenizer: Config of a tokenizer; ``checkpoint`` in it names its weights, ``seed`` those of
            a random one where there is none.
        backbone, head: Configs; ``grid``, ``dim``, ``num_heads`` and ``vocab_sizes`` are handed
            down.
        factorization: Config; sub-tokens are the codebooks of the tokenizer by default. A head that
            predicts whole indices gets the trivial one instead.
        conditioner: Config; classes of ImageNet by default.
        order: Config of the order of the tokens; that of the paradigm by default.
        image_size: Height and width of the images in pixels, one number for squares; not needed
            where the tokenizer takes one size only. It and the tokenizer decide the tokens.
        input_dropout: Dropout on the input sequence, prefix included.
        data_preprocessor: Config; maps uint8 batches to [-1, 1] by default.
    """

    # What metrics measure: see `evaluation.stages`.
    stage = 'generator'
    slots = dict(
        # The tokenizer's own dict names its weights.
        tokenizer=Slot(MODELS, beside=dict(checkpoint=None, seed=None)),
        factorization=FACTORIZATIONS,
        conditioner=CONDITIONERS,
        order=ORDERS,
        backbone=BACKBONES,
        head=HEADS,
        data_preprocessor=MODELS,
    )
    # The type of the order where the config names none.
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
        image_size: int | Sequence[int] | None = None,
        input_dropout: float = 0.1,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor or dict(type='ImagePreprocessor'))
        self.tokenizer, self.tokenizer_checkpoint = parts.frozen_tokenizer(tokenizer)
        quantizer = self.tokenizer.quantizer
        self.grid = parts.image_grid(self.tokenizer, image_size)
        self.token_shape = tuple(quantizer.token_shape(self.grid))
        # Tokens are positions of the sequence; each may have several digits.
        self.num_tokens = math.prod(self.token_shape) // len(quantizer.codebook_sizes)
        self.factorization = parts.build_factorization(factorization, head, quantizer)
        self.backbone = BACKBONES.build(self.backbone_arguments() | backbone)
        self.head = parts.build_head(head, self.factorization.vocab_sizes, self.backbone, quantizer)
        conditioner = dict(type='ClassLabel') | (conditioner or {})
        self.class_embedding = CONDITIONERS.build(dict(dim=self.backbone.dim) | conditioner)
        self.order = ORDERS.build(
            dict(type=self.default_order) | self.order_arguments() | (order or {})
        )
        self.input_dropout = input_dropout
        self.check_parts()

    # ---- parts -----------------------------------------------------------------------------------
    @property
    def conditioner(self) -> nn.Module:
        """The conditioner, which keeps version 1's name in state dicts, ``class_embedding``."""
        return self.class_embedding

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__('class_embedding' if name == 'conditioner' else name, value)

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None where conditions are no labels."""
        return self.conditioner.num_classes

    @property
    def transformer(self) -> parts.Trainable:
        """A view of the parts as they are now; the state dict names each parameter once."""
        return parts.Trainable(self.trained_parts(), self.losses)

    def trained_parts(self) -> dict[str, nn.Module]:
        """The parts with the optimizer, in the order of its states."""
        return dict(class_embedding=self.class_embedding, backbone=self.backbone, head=self.head)

    def backbone_arguments(self) -> dict[str, Any]:
        """What a backbone is built with, beside its config."""
        return dict(grid=self.grid)

    def order_arguments(self) -> dict[str, Any]:
        """What an order is built with, beside its config."""
        return dict(num_tokens=self.num_tokens)

    def check_parts(self) -> None:
        """Check that the parts go together.

        Raises:
            UserError: One needs what another does not have.
        """
        self.conditioner.check_tokens(self.head.embeddings)
        missing = sorted(self.order.needs - self.backbone.supports)
        if missing:
            raise UserError(
                f'model.order: {type(self.order).__name__} needs a backbone that takes '
                f'{" and ".join(missing)}; {type(self.backbone).__name__} does not.'
            )

    def roles(self) -> dict[str, nn.Module]:
        """The modules with an optimizer of their own, by name."""
        return dict(transformer=self.transformer)

    def train(self, mode: bool = True) -> 'BaseGenerator':
        """The tokenizer stays in eval mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def init_weights(self) -> None:
        """Read the tokenizer's weights, before the first image is read; called by the Runner."""
        if self.tokenizer_checkpoint:
            try:
                load_tokenizer_weights(self.tokenizer, self.tokenizer_checkpoint)
            except UserError as error:
                raise UserError(f'model.tokenizer.checkpoint: {error}') from error

    # ---- what a paradigm adds --------------------------------------------------------------------
    def losses(
        self,
        sub_indices: Tensor,
        condition: dict[str, Tensor],
        draws: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name, whose sum is minimised.

        Args:
            sub_indices: True sub-tokens, int64 (B, T, k).
            condition: Data of the conditioner.
            draws: Uniform numbers (B, ``num_draws``) of the samples, where there are any.
            targets: Distributions (B, T, k, V) in place of the true sub-tokens.
        """
        raise NotImplementedError

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """What a validation measures of each image, in nats: float32 (B,)."""
        raise NotImplementedError

    @property
    def num_draws(self) -> int:
        """Uniform numbers that a sample of a training takes."""
        return self.order.num_uniforms

    # ---- tokens ----------------------------------------------------------------------------------
    def split(self, indices: Tensor) -> Tensor:
        """Indices (B, *token_shape) to sub-tokens (B, T, k)."""
        return self.factorization.split(indices)

    def merge(self, sub_indices: Tensor) -> Tensor:
        """Sub-tokens (B, T, k) to indices (B, *token_shape)."""
        return self.factorization.merge(sub_indices, self.token_shape)

    @torch.no_grad()
    def tokenize(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] to sub-tokens int64 (B, T, k).

        Raises:
            UserError: Their tokens have another shape than the model's, or outside of training the
                encoder gives NaN or infinite numbers.
        """
        with torch.autocast(image.device.type, enabled=False):
            out = self.tokenizer.encode(image)
        if not self.training:
            # Reading the answer waits for the device, which a training step must not.
            out.check_finite('images')
        self._check_shape(out.indices, f'images of {tuple(image.shape[2:])} pixels make')
        return self.split(out.indices)

    def sub_indices(self, data: dict) -> Tensor:
        """Sub-tokens (B, T, k) of a batch of images, or of indices from a token cache."""
        if 'indices' not in data:
            return self.tokenize(data['image'])
        self._check_shape(data['indices'], 'the token cache has')
        return self.split(data['indices'])

    def _check_shape(self, indices: Tensor, what: str) -> None:
        if indices.shape[1:] != self.token_shape:
            raise UserError(
                f'model.image_size and the tokenizer make tokens of the shape {self.token_shape}, '
                f'{what} {tuple(indices.shape[1:])}.'
            )

    def embed(self, condition: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Prefix (B, P, dim) and pooled vector (B, dim) of conditions."""
        return self.conditioner.embed(condition, self.head.embeddings)

    def rows(self) -> dict[str, Any]:
        """The quantizer's vectors for calls of a head that embeds with them."""
        return dict(rows=parts.code_rows(self.tokenizer.quantizer)) if self.head.needs_rows else {}

    # ---- training --------------------------------------------------------------------------------
    def train_step(
        self,
        data: dict,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module] | None = None,
    ) -> dict[str, Tensor]:
        """One step on the sub-tokens of a batch; conditions become null at random. Returns detached
        scalars for the log.
        """
        handle = (handles or self.roles())['transformer']
        data = self._prepared(data, True)
        condition = self.conditioner.drop(self._condition(data), data.get('uniform'))
        given = dict(draws=data['draws']) if 'draws' in data else {}
        sub_indices, wrapper = self.sub_indices(data), optim_wrapper['transformer']
        with wrapper.optim_context(handle):
            losses = handle(sub_indices, condition, **given)
        loss = sum(losses.values())
        wrapper.update_params(loss)
        return {name: value.detach() for name, value in dict(loss=loss, **losses).items()}

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:
        """One dict of batched tensors: ``nll`` in nats of each image (B,), ``label`` (B,)."""
        data = self._prepared(data, False)
        nll = self.nll(self.sub_indices(data), self._condition(data))
        return [dict(self._condition(data), nll=nll)]

    def test_step(self, data: dict) -> list[dict]:
        """The same as :meth:`val_step`, a subclass's too."""
        return self.val_step(data)

    def _prepared(self, data: dict, training: bool) -> dict:
        """A batch on the model's device, its conditions checked before they go there."""
        self.conditioner.check_batch(data)
        if training and self.num_draws:
            data = dict(data, draws=more_uniforms(data, self.num_draws))
        return self.data_preprocessor(data, training)

    def _condition(self, data: dict) -> dict[str, Tensor]:
        return {name: data[name] for name in self.conditioner.reads}
