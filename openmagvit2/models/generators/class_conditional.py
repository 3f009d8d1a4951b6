"""Stage II: a frozen tokenizer, a factorization, and a transformer that predicts its sub-tokens
(paper §2.3, spec §4).
"""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from openmagvit2.checkpoint import load_tokenizer_weights
from openmagvit2.errors import UserError
from openmagvit2.models.generators.labels import check_batch, class_numbers
from openmagvit2.models.layers.precision import uniform_to
from openmagvit2.models.samplers import SubTokenSampler, decode_tokens, uniforms
from openmagvit2.registry import BACKBONES, FACTORIZATIONS, HEADS, MODELS, SAMPLERS
from openmagvit2.signatures import Slot, accepted

# Below this many rows matrix products round in another way, and a draw near a boundary gives
# another token.
LEAST_ROWS = 4


class Transformer(nn.Module):
    """The part with an optimizer, as data parallelism wraps it: class embedding, backbone, head."""

    def __init__(
        self, class_embedding: nn.Embedding, backbone: nn.Module, head: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.class_embedding, self.backbone, self.head, self.dropout = (
            class_embedding,
            backbone,
            head,
            dropout,
        )

    def context(self, sub_indices: Tensor, labels: Tensor) -> Tensor:
        """Sub-tokens (B, T, k) and labels (B,) to context (B, T, dim): the class and all tokens but
        the last enter.
        """
        tokens = self.head.embed(sub_indices)[:, :-1]
        x = torch.cat([self.class_embedding(labels)[:, None], tokens], 1)
        # The mode of the backbone: a view has none of its own.
        return self.backbone(F.dropout(x, self.dropout, self.backbone.training))

    def forward(self, sub_indices: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Losses by name."""
        return self.head.loss(self.context(sub_indices, labels), sub_indices)


@MODELS.register_module()
class ClassConditionalGenerator(BaseModel):
    """Auto-regressive transformer over the sub-tokens of a frozen tokenizer, conditioned on a
    class.

    Args:
        tokenizer: Config of a tokenizer; ``checkpoint`` in it names its weights, ``seed`` those of
            a random one where there is none.
        factorization: Config; a head that predicts whole indices gets the trivial one instead.
        backbone, head: Configs; ``grid``, ``dim``, ``num_heads`` and ``vocab_sizes`` are handed
            down.
        num_classes: The embedding has one row more, the null class.
        grid: Height and width of the token grid.
        token_dropout: On the input sequence, class included.
        class_dropout: Probability that a label becomes the null class in training.
        data_preprocessor: Config; maps uint8 batches to [-1, 1] by default.
    """

    # What metrics measure: see `evaluation.stages`.
    stage = 'generator'
    slots = dict(
        # A frozen tokenizer names its weights in its own dict.
        tokenizer=Slot(MODELS, beside=dict(checkpoint=None, seed=None)),
        factorization=FACTORIZATIONS,
        backbone=BACKBONES,
        head=HEADS,
        data_preprocessor=MODELS,
    )

    def __init__(
        self,
        *,
        tokenizer: dict,
        factorization: dict,
        backbone: dict,
        head: dict,
        num_classes: int = 1000,
        grid: Sequence[int] = (16, 16),
        token_dropout: float = 0.1,
        class_dropout: float = 0.1,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor or dict(type='ImagePreprocessor'))
        self.grid, self.num_classes, self.class_dropout = tuple(grid), num_classes, class_dropout
        tokenizer = dict(tokenizer)
        self.tokenizer_checkpoint, seed = (
            tokenizer.pop('checkpoint', None),
            tokenizer.pop('seed', 0),
        )
        tokenizer.pop('training', None)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.tokenizer = MODELS.build(tokenizer).requires_grad_(False).eval()
        size = self.tokenizer.quantizer.codebook_size
        head_class = (
            HEADS.get(head['type']) if isinstance(head.get('type'), str) else head.get('type')
        )
        if head_class is not None and head_class.joint:
            factorization = dict(type='TokenFactorization', vocab_sizes=[size])
            print_log(
                (
                    f'model.factorization: {head_class.__name__} predicts whole indices, so it is '
                    f'[{size}].'
                ),
                'current',
                logging.INFO,
            )
        self.factorization = FACTORIZATIONS.build(dict(factorization, codebook_size=size))
        self.backbone = BACKBONES.build(dict(grid=self.grid) | backbone)
        shared = dict(vocab_sizes=self.factorization.vocab_sizes, dim=self.backbone.dim)
        if head_class is not None and 'num_heads' in accepted(head_class):
            shared['num_heads'] = self.backbone.num_heads
        self.head = HEADS.build(shared | head)
        self.class_embedding = nn.Embedding(num_classes + 1, self.backbone.dim)
        nn.init.normal_(self.class_embedding.weight, 0.0, 0.02)
        self.token_dropout = token_dropout

    @property
    def transformer(self) -> Transformer:
        """A view of the parts as they are now; the state dict names each parameter once."""
        return Transformer(self.class_embedding, self.backbone, self.head, self.token_dropout)

    @property
    def num_tokens(self) -> int:
        """Tokens of an image."""
        return self.grid[0] * self.grid[1]

    def roles(self) -> dict[str, nn.Module]:
        """The modules with an optimizer of their own, by name."""
        return dict(transformer=self.transformer)

    def train(self, mode: bool = True) -> 'ClassConditionalGenerator':
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

    # ---- use -------------------------------------------------------------------------------------
    @torch.no_grad()
    def tokenize(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to sub-tokens int64 (B, h * w, k), rows first.

        Raises:
            UserError: The image's grid is not the model's, or outside of training the encoder gives
                NaN or infinite numbers.
        """
        with torch.autocast(image.device.type, enabled=False):
            out = self.tokenizer.encode(image)
        if not self.training:
            # Reading the answer waits for the device, which a training step must not.
            out.check_finite('images')
        indices = out.indices
        if indices.shape[1:] != self.grid:
            raise UserError(
                f'model.grid is {self.grid}, images of {tuple(image.shape[2:])} pixels make '
                f'{tuple(indices.shape[1:])}.'
            )
        return self.factorization.split(indices.flatten(1))

    def forward(self, sub_indices: Tensor, labels: Tensor) -> list[Tensor]:
        """Sub-tokens (B, T, k) and labels (B,), ``num_classes`` or -1 for the null class, to logits
        (B, T, V_i) of each sub-token.
        """
        return self.head.logits(
            self.transformer.context(sub_indices, self._null(labels)), sub_indices
        )

    def loss(self, sub_indices: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean nats of each sub-token, by name, without dropping labels."""
        return self.transformer(sub_indices, self._null(labels))

    @torch.no_grad()
    def generate(
        self,
        labels: Sequence[int] | np.ndarray | Tensor,
        sampling: dict | SubTokenSampler | None = None,
        seed: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> Tensor:
        """Sample images' indices; sample ``number`` of a class with a seed has the same tokens in
        any batch.

        Rounding can depend on the number of rows: a uniform number within about 1e-6 of the
            boundary of two tokens can still fall to the other.

        Args:
            labels: Whole numbers (B,) in a list, an array or a tensor: classes from 0, or -1 or
                ``num_classes`` for the null class.
            sampling: Settings of :class:`SubTokenSampler`, with another ``type`` where there is
                one.
            seed: Of the samples.
            numbers: Number of each sample within its class; counted in the order of ``labels`` by
                default.

        Returns:
            int64 (B, h, w).

        Raises:
            UserError: A label, the seed or a setting is out of range; the logits are not finite.
        """
        device = self.class_embedding.weight.device
        sampler, k = self.check(labels, sampling, seed), len(self.head.vocab_sizes)
        names = class_numbers(labels, self.num_classes)
        if numbers is None:
            numbers = [names[:i].count(label) for i, label in enumerate(names)]
        if len(numbers) != len(names) or min(numbers) < 0:
            raise UserError(
                f'numbers must be {len(names)} whole numbers from 0, one for each label, got '
                f'{list(numbers)}.'
            )
        count, more = len(names), max(LEAST_ROWS - len(names), 0)
        names, numbers = [*names, *names[-1:] * more], [*numbers, *list(numbers)[-1:] * more]
        random = uniform_to(uniforms(seed, names, numbers, self.num_tokens, k), device)
        labels = torch.tensor(names, device=device)
        if sampler.guided:
            labels = torch.cat([labels, torch.full_like(labels, self.num_classes)])
        sub_indices = decode_tokens(
            self.backbone,
            self.head,
            self.class_embedding(labels),
            self.num_tokens,
            lambda logits, t, i: sampler(
                logits, i, random[:, t, i], t / max(self.num_tokens - 1, 1)
            ),
        )
        return self.factorization.merge(sub_indices[:count]).unflatten(1, self.grid)

    def check(
        self,
        labels: Sequence[int] | np.ndarray | Tensor,
        sampling: dict | SubTokenSampler | None = None,
        seed: int = 0,
        once: bool = False,
    ) -> SubTokenSampler:
        """The sampler of settings, as :meth:`generate` takes them.

        Args:
            labels, sampling, seed: Of :meth:`generate`.
            once: Each label may be there once only.

        Raises:
            UserError: A label, the seed or a setting is out of range, or the number of values is
                not that of the sub-tokens.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise UserError(f'seed must be at least 0 and a whole number, got {seed!r}.')
        names = class_numbers(labels, self.num_classes)
        twice = next((label for label, count in Counter(names).items() if count > 1), None)
        if once and twice is not None:
            raise UserError(
                f'labels: class {twice} is there more than once, and would give the same '
                f'images again.'
            )
        sampler = sampling if callable(sampling) else self._sampler(sampling or {})
        sampler.check(len(self.head.vocab_sizes))
        return sampler

    @staticmethod
    def _sampler(settings: dict) -> SubTokenSampler:
        settings = dict(type='SubTokenSampler') | settings
        kind = settings['type']
        cls = SAMPLERS.get(kind) if isinstance(kind, str) else kind
        known = accepted(cls) | {'type'} if cls is not None else set(settings)
        wrong = [key for key in settings if key not in known]
        if wrong:
            listed = ', '.join(sorted(known - {'type'}))
            raise UserError(f'sampling: {kind} has no setting `{wrong[0]}`; it has {listed}.')
        return SAMPLERS.build(settings)

    @torch.no_grad()
    def decode_indices(self, indices: Tensor) -> Tensor:
        """int64 (B, h, w) to images (B, 3, H, W), clamped to [-1, 1]; filled up as in
        :meth:`generate`, for the same pixels in any batch.
        """
        filled = torch.cat(
            [indices, indices[-1:].expand(max(LEAST_ROWS - len(indices), 0), -1, -1)]
        )
        return self.tokenizer.decode_indices(filled)[: len(indices)].float().clamp(-1, 1)

    def _prepared(self, data: dict, training: bool) -> dict:
        """A batch on the model's device, its labels checked before they go there."""
        check_batch(data['label'], self.num_classes)
        return self.data_preprocessor(data, training)

    def _sub_indices(self, data: dict) -> Tensor:
        """Of a batch of images, or of indices from a token cache."""
        if 'indices' not in data:
            return self.tokenize(data['image'])
        if data['indices'].shape[1:] != self.grid:
            raise UserError(
                f'model.grid is {self.grid}, the token cache has '
                f'{tuple(data["indices"].shape[1:])}.'
            )
        return self.factorization.split(data['indices'].flatten(1))

    def _null(self, labels: Tensor) -> Tensor:
        # Data sets without labels give -1.
        return torch.where(labels < 0, self.num_classes, labels)

    # ---- training --------------------------------------------------------------------------------
    def train_step(
        self,
        data: dict,
        optim_wrapper: OptimWrapperDict,
        handles: dict[str, nn.Module] | None = None,
    ) -> dict[str, Tensor]:
        """One step on the sub-tokens of a batch; labels become the null class at random. Returns
        detached scalars for the log.
        """
        handles = handles or self.roles()
        data = self._prepared(data, True)
        sub_indices, labels = self._sub_indices(data), self._null(data['label'])
        # Our data sets give a number for each (seed, epoch, index), so that the batch's split over
        # processes does not matter.
        uniform = (
            data['uniform'] if 'uniform' in data else torch.rand(labels.shape, device=labels.device)
        )
        labels = torch.where(uniform < self.class_dropout, self.num_classes, labels)
        wrapper = optim_wrapper['transformer']
        with wrapper.optim_context(handles['transformer']):
            losses = handles['transformer'](sub_indices, labels)
        loss = sum(losses.values())
        wrapper.update_params(loss)
        return {name: value.detach() for name, value in dict(loss=loss, **losses).items()}

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:
        """One dict of batched tensors: ``nll`` in nats of each image (B,), ``label`` (B,)."""
        data = self._prepared(data, False)
        sub_indices, labels = self._sub_indices(data), self._null(data['label'])
        context = self.transformer.context(sub_indices, labels)
        return [
            dict(
                nll=self.head.losses_per_token(context, sub_indices).sum((1, 2)),
                label=data['label'],
            )
        ]

    def test_step(self, data: dict) -> list[dict]:
        """The same as :meth:`val_step`, a subclass's too."""
        return self.val_step(data)
