"""Next-scale prediction: one token map after the other, from coarse to fine (VAR, Tian et al.
2024).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.labels import Labels
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.generators.parts import class_of
from openmagvit2.models.generators.sampling import Settings, decoding_of, keeps_a_cpu_busy
from openmagvit2.models.samplers import SubTokenSampler, decode_levels, smooth_mixture
from openmagvit2.models.samplers.scales import AddLevel, DrawLevel
from openmagvit2.protocols import Scaled
from openmagvit2.registry import BACKBONES, MODELS
from openmagvit2.signatures import accepted


@MODELS.register_module()
class NextScaleGenerator(BaseGenerator):
    """Transformer that predicts all tokens of a scale in parallel from the previous scales.

    Output t predicts token t. The input of the first scale is the condition's vector; the input of
    any other is the sum of the codes so far, resized to the scale, through a linear layer. The
    quantizer must be multi-scale, the backbone must accept ``levels``, and the head must not embed
    tokens: VAR's is ``dict(type='SingleHead', norm=None, bias=True, embedding=None)``.

    Args:
        backbone: Config of the backbone.
        parts: Other arguments of :class:`Assembly`.

    Raises:
        UserError: The backbone does not accept ``levels``, or the parts do not fit each other.
    """

    default_order = 'NextScale'
    decodings = ('sequential', 'smooth')

    def __init__(self, *, backbone: dict, **parts: Any) -> None:
        cls = class_of(BACKBONES, backbone)
        if cls is not None and 'levels' not in accepted(cls):
            raise UserError(
                f'model.backbone: {cls.__name__} does not support `levels`; use '
                f'AdaLnTransformer or a similar backbone.'
            )
        super().__init__(backbone=backbone, **parts)
        self.code_embedding = nn.Linear(self.tokenizer.quantizer.width, self.backbone.dim)
        # Initialize like all layers of VAR.
        deviation = (3 * self.backbone.dim) ** -0.5
        for weight in (self.code_embedding.weight, *self.conditioner.parameters()):
            nn.init.normal_(weight, 0.0, deviation)
        nn.init.zeros_(self.code_embedding.bias)

    def backbone_arguments(self) -> dict[str, Any]:
        """Return the arguments of the backbone, among them the number of cells of each scale."""
        levels = [height * width for height, width in self._quantizer.scales]
        return super().backbone_arguments() | dict(levels=levels)

    def order_arguments(self) -> dict[str, Any]:
        """Return the arguments of the order, among them the (height, width) of each scale."""
        return super().order_arguments() | dict(scales=self._quantizer.scales)

    @property
    def _quantizer(self) -> Any:
        """The tokenizer's quantizer, which must be :class:`Scaled`."""
        quantizer = self.tokenizer.quantizer
        if not isinstance(quantizer, Scaled):
            raise UserError(
                f'model.tokenizer.quantizer: {type(quantizer).__name__} has no '
                f'scales; use MultiScale.'
            )
        return quantizer

    def check_parts(self) -> None:
        """See :meth:`Assembly.check_parts`.

        Raises:
            UserError: The head embeds tokens.
        """
        super().check_parts()
        if self.head.embeddings is not None:
            raise UserError(
                'model.head.embedding must be None: inputs are sums of codes, not embedded tokens.'
            )

    def trained_parts(self) -> dict[str, nn.Module]:
        """Return the trained parts by name, among them the embedding of code vectors."""
        return super().trained_parts() | dict(code_embedding=self.code_embedding)

    # ---- training --------------------------------------------------------------------------------
    def context(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """Return the context vectors (B, T, dim) that predict the tokens.

        Args:
            sub_indices: Ground-truth sub-tokens, int64 (B, T, k), ordered by scale.
            condition: Data of the conditioner.
        """
        first, given = self._first(condition)
        with torch.no_grad():
            inputs = self._quantizer.teacher_inputs(self.merge(sub_indices))
        x = torch.cat([first, self._embedded(inputs)], 1)
        x = F.dropout(x, self.input_dropout, self.backbone.training)
        return self.backbone(x, **given)

    def forward(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> list[Tensor]:
        """Return logits (B, T, V_i) of each sub-token; see :meth:`context`."""
        return self.head.logits(self.context(sub_indices, condition), sub_indices)

    def losses(
        self, sub_indices: Tensor, condition: dict[str, Tensor], targets: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the cross-entropy by name for int64 (B, T, k), all scales at once."""
        given: dict[str, Any] = {} if targets is None else dict(targets=targets)
        return self.head.loss(self.context(sub_indices, condition), sub_indices, **given)

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each image in nats, (B,), of all scales."""
        context = self.context(sub_indices, condition)
        return self.head.losses_per_token(context, sub_indices).sum((1, 2))

    # ---- sampling --------------------------------------------------------------------------------
    def decode(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """See :meth:`Sampling.decode`; guidance is scheduled over the scales.

        Raises:
            UserError: The sampler mixes codes ('smooth'), so there are no indices.
        """
        if _smooth(sampler):
            raise UserError(
                "sampling.decoding='smooth' mixes codes and produces no indices; "
                'sample images instead.'
            )
        uniform = random.split(self.order.groups, 1)

        def draw(logits: Tensor, scale: int, i: int) -> Tensor:
            """Draw sub-token ``i`` of a scale, int64 (B, n), from logits (B or 2B, n, V_i)."""
            numbers = uniform[scale][..., i]
            drawn = sampler(logits.flatten(0, 1), i, numbers.flatten(), self._progress(scale))
            return drawn.view(numbers.shape)

        def add(total: Tensor | None, drawn: Tensor, scale: int) -> Tensor:
            """Add the codes of a scale's tokens (B, n, k) to the sum of the previous scales."""
            return self._quantizer.accumulate(total, self.factorization.merge(drawn), scale)

        return self._over_scales(condition, draw, add)[0]

    def _over_scales(
        self, condition: dict[str, Tensor], draw: DrawLevel, add: AddLevel
    ) -> tuple[Tensor, Tensor]:
        """Run :func:`decode_levels` for data of the conditioner; return the tokens int64 (B, T, k)
        and the sum of their codes.
        """
        first, given = self._first(condition)

        def next_input(total: Tensor, scale: int) -> Tensor:
            """Return the backbone's input for a scale, from the sum of the previous scales."""
            return self._embedded(self._quantizer.next_input(total, scale))

        scales = len(self.order.groups)
        return decode_levels(
            self.backbone, self.head, first, scales, draw, add, next_input, **given
        )

    def _progress(self, scale: int) -> float:
        """Return the progress of sampling in [0, 1]: 0 at the first scale, 1 at the last."""
        return scale / max(len(self.order.groups) - 1, 1)

    @property
    def one_by_one(self) -> bool:
        """See :attr:`Sampling.one_by_one`; a pass processes many tokens of each image."""
        return keeps_a_cpu_busy(self.backbone)

    def draw_shape(self, sampler: SubTokenSampler) -> tuple[int, ...]:
        """See :meth:`Sampling.draw_shape`; smooth decoding needs one number per code.

        Raises:
            UserError: Decoding is 'smooth' and tokens have several sub-tokens.
        """
        if not _smooth(sampler):
            return super().draw_shape(sampler)
        if len(self.head.vocab_sizes) > 1:
            raise UserError(
                "sampling.decoding='smooth' needs one sub-token per token; this model has "
                f'{len(self.head.vocab_sizes)}.'
            )
        return self.num_tokens, *self.head.vocab_sizes

    @torch.no_grad()
    def images(
        self,
        labels: Labels,
        sampling: Settings = None,
        seed: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> Tensor:
        """See :meth:`Sampling.images`; 'smooth' decoding mixes codes."""
        sampler = self.check(labels, sampling, seed)
        if not _smooth(sampler):
            return super().images(labels, sampler, seed, numbers)

        def pixels(*request: Any) -> Tensor:
            return self.tokenizer.decode(self.mixed_codes(*request)).float().clamp(-1, 1)

        return self.decoded(pixels, labels, sampler, seed, numbers)

    def mixed_codes(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """Sample codes (B, D, *grid) as sums over scales of mixtures of the table's rows (VAR's
        smooth sampling, for visualization and not for metrics); takes the arguments of
        :meth:`decode`.
        """
        quantizer, uniform = self._quantizer, random.split(self.order.groups, 1)
        codes = torch.arange(self.head.vocab_sizes[0], device=random.device)
        table = quantizer.rows(codes[None])[0, :, 0]
        mixtures: list[Tensor] = []

        def draw(logits: Tensor, scale: int, i: int) -> Tensor:
            """Append a mixture for each cell of a scale, from logits (B or 2B, n, V), to
            ``mixtures``; return the likeliest tokens, which are not used.
            """
            numbers, progress = uniform[scale], self._progress(scale)
            kept = sampler.filtered(logits.flatten(0, 1), i, numbers[..., 0].numel(), progress)
            weights = smooth_mixture(kept.view(numbers.shape), numbers, progress)
            mixtures.append((weights @ table).transpose(1, 2).unflatten(2, quantizer.scales[scale]))
            return weights.argmax(-1)

        def add(total: Tensor | None, drawn: Tensor, scale: int) -> Tensor:
            """Add a scale's mixtures to the sum of the previous scales; ``drawn`` is not used."""
            return quantizer.add(total, mixtures[scale], scale)

        _, total = self._over_scales(condition, draw, add)
        return quantizer.projected_back(total)

    def _first(self, condition: dict[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
        """Return the input of the first scale (B, groups[0], dim), and backbone arguments."""
        prefix, given = self.embed(condition)
        return prefix[:, -1:].expand(-1, self.order.groups[0], -1), given

    def _embedded(self, inputs: Tensor) -> Tensor:
        return self.code_embedding(inputs.to(self.code_embedding.weight.dtype))


def _smooth(sampler: SubTokenSampler) -> bool:
    return decoding_of(sampler) == 'smooth'
