"""One token after the other: each position of the transformer predicts the next token (paper
Eq. 5).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.layers.decoding_weights import chosen, for_decoding
from openmagvit2.models.orders import in_order, to_raster
from openmagvit2.models.samplers import SubTokenSampler, decode_jacobi, decode_tokens
from openmagvit2.registry import MODELS


# Configs of version 1 have the second name.
@MODELS.register_module(name=['AutoregressiveGenerator', 'ClassConditionalGenerator'])
class AutoregressiveGenerator(BaseGenerator):
    """Auto-regressive transformer over the sub-tokens of a frozen tokenizer.

    The sequence is the condition's prefix and all tokens but the last, in the order that ``order``
    says; the outputs from its last prefix row on predict the tokens.

    Args:
        token_noise: Probability in [0, 1] that an input token of a training is a random one of its
            vocabulary, independently of others; the targets stay (1 - ``pkeep`` of VQGAN).
        parts: Arguments of :class:`Assembly`.

    Raises:
        UserError: ``token_noise`` is not in [0, 1], or the parts do not fit each other.
    """

    decodings = ('sequential', 'jacobi')

    def __init__(self, *, token_noise: float = 0.0, **parts: Any) -> None:
        super().__init__(**parts)
        if not 0 <= token_noise <= 1:
            raise UserError(f'model.token_noise must be between 0 and 1, got {token_noise}.')
        self.token_noise = token_noise

    def check_parts(self) -> None:
        """See :meth:`Assembly.check_parts`.

        Raises:
            UserError: The order predicts several tokens at once.
        """
        super().check_parts()
        if max(self.order.groups) > 1:
            raise UserError(
                f'model.order: AutoregressiveGenerator predicts one token after the other, '
                f'{type(self.order).__name__} predicts several at once.'
            )

    def context(
        self,
        sub_indices: Tensor,
        condition: Tensor | dict[str, Tensor],
        cells: Tensor | None = None,
    ) -> Tensor:
        """Return context vectors that predict the tokens.

        Args:
            sub_indices: int64 (B, T, k), in the order of prediction.
            condition: Data of the conditioner, or its labels (B,).
            cells: The order, int64 (B, T); raster order by default.

        Returns:
            (B, T, dim).
        """
        prefix, given = self.embed(_data(condition))
        tokens = self.head.embed(sub_indices, **self.rows())[:, :-1]
        x = torch.cat([prefix, tokens], 1)
        given |= self._places(prefix.shape[1], cells, x.device)
        x = F.dropout(x, self.input_dropout, self.backbone.training)
        return self.backbone(x, **given)[:, prefix.shape[1] - 1 :]

    def forward(self, sub_indices: Tensor, condition: Tensor | dict[str, Tensor]) -> list[Tensor]:
        """Return logits (B, T, V_i) of each sub-token.

        Args:
            sub_indices: True sub-tokens, int64 (B, T, k) in raster order.
            condition: Data of the conditioner, or its labels (B,); -1 is the null class.
        """
        cells = self._cells(len(sub_indices))
        sub_indices = in_order(sub_indices, cells)
        context = self.context(sub_indices, condition, cells)
        logits = self.head.logits(context, sub_indices, **self.rows())
        return [to_raster(x, cells) for x in logits]

    def loss(self, sub_indices: Tensor, condition: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean nats of each sub-token, scalars by name, without dropping conditions."""
        cells = self._cells(len(sub_indices))
        return self.transformer(sub_indices, _data(condition), cells=cells)

    def teacher(self, batch: int, iteration: int, draws: Tensor | None) -> dict[str, Any]:
        """See :meth:`BaseGenerator.teacher`: the order of each sample, and noise of its tokens."""
        order = self.order.num_uniforms
        own = None if draws is None else draws[:, :order]
        cells = self._cells(batch, iteration, own if order else None)
        given: dict[str, Any] = {} if cells is None else dict(cells=cells)
        if self.token_noise and draws is not None:
            given['noise'] = draws[:, order:].unflatten(1, (2, self.num_tokens, -1))
        return given

    @property
    def num_draws(self) -> int:
        """See :attr:`BaseGenerator.num_draws`; two for each sub-token where there is noise."""
        noise = 2 * self.num_tokens * len(self.head.vocab_sizes) if self.token_noise else 0
        return self.order.num_uniforms + noise

    def noisy(self, sub_indices: Tensor, noise: Tensor) -> Tensor:
        """Return sub-tokens int64 (B, T, k), some of them replaced.

        Args:
            sub_indices: The true ones.
            noise: Uniform numbers (B, 2, T, k) in [0, 1): which ones, and by what.
        """
        which, what = noise.unbind(1)
        pairs = zip(what.unbind(-1), self.head.vocab_sizes, strict=True)
        # In float32 the product may round up to the size.
        drawn = torch.stack([(u * size).long().clamp_max(size - 1) for u, size in pairs], -1)
        return torch.where(which < self.token_noise, drawn, sub_indices)

    def losses(
        self,
        sub_indices: Tensor,
        condition: dict[str, Tensor],
        cells: Tensor | None = None,
        targets: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See :meth:`Assembly.losses`.

        Args:
            sub_indices, condition: See :meth:`Assembly.losses`.
            cells: The order, int64 (B, T); raster order by default.
            targets: See :meth:`Head.loss`.
            noise: Numbers for :meth:`noisy`; none by default.
        """
        sub_indices, given = in_order(sub_indices, cells), self.rows()
        if targets is not None:
            given['targets'] = in_order(targets, cells)
        inputs = sub_indices if noise is None else self.noisy(sub_indices, noise)
        return self.head.loss(self.context(inputs, condition, cells), sub_indices, **given)

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """See :meth:`BaseGenerator.nll`."""
        cells = self._cells(len(sub_indices))
        sub_indices = in_order(sub_indices, cells)
        context = self.context(sub_indices, condition, cells)
        return self.head.losses_per_token(context, sub_indices, **self.rows()).sum((1, 2))

    def decode(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """See :meth:`Sampling.decode`."""
        prefix, given = self.embed(condition)
        cells = self._cells(len(prefix))
        given |= self._places(prefix.shape[1], cells, prefix.device) | self.rows()
        last = max(self.num_tokens - sampler.closed, 1)
        weights = self._weights(sampler)
        backbone = for_decoding(self.backbone, weights)
        head = for_decoding(self.head, weights)
        common = (backbone, head, prefix, self.num_tokens)
        if sampler.decoding == 'jacobi':
            drawn = decode_jacobi(*common, sampler, random, **given)
        else:
            drawn = decode_tokens(
                *common, lambda logits, t, i: sampler(logits, i, random[:, t, i], t / last), **given
            )
        return to_raster(drawn, None if cells is None else cells[: len(drawn)])

    def least_rows(self, sampler: SubTokenSampler) -> int:
        """See :meth:`Sampling.least_rows`; the products of other weights than plain ones are the
        same among any number of rows.
        """
        return super().least_rows(sampler) if self._weights(sampler) == 'plain' else 1

    def _weights(self, sampler: SubTokenSampler) -> str:
        return chosen(sampler.weights, self.backbone, self.head)

    def _cells(
        self, batch: int, iteration: int | None = None, draws: Tensor | None = None
    ) -> Tensor | None:
        """Return the order of a batch, on the model's device."""
        cells = self.order(batch, iteration, draws)
        return None if cells is None else cells.to(next(self.backbone.parameters()).device)

    def _places(self, prefix: int, cells: Tensor | None, device: torch.device) -> dict[str, Any]:
        """Return the coordinates of the input's rows, and of the cells that they predict for a
        backbone that takes them; none where the default holds, one prefix row and raster order.
        """
        if cells is None and prefix == 1:
            return {}
        grid = self.cells(device)
        cells = grid if cells is None else grid[cells]
        before = torch.full_like(cells[..., :1, :], -1).expand(*cells.shape[:-2], prefix, -1)
        places = dict(positions=torch.cat([before, cells[..., :-1, :]], -2))
        if 'targets' in self.backbone.supports:
            places['targets'] = torch.cat([before[..., 1:, :], cells], -2)
        return places


def _data(condition: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return condition if isinstance(condition, dict) else dict(label=condition)
