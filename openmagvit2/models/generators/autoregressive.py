"""Next-token prediction: each position of the transformer predicts the next token (paper Eq. 5)."""

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
from openmagvit2.signatures import Fraction


# The second name is for configs of version 1.
@MODELS.register_module(name=['AutoregressiveGenerator', 'ClassConditionalGenerator'])
class AutoregressiveGenerator(BaseGenerator):
    """Auto-regressive transformer over the sub-tokens of a frozen tokenizer.

    The input sequence is the condition's prefix followed by all tokens but the last, in the order
    that ``order`` gives; the outputs from the last prefix row on predict the tokens.

    Args:
        token_noise: Probability in [0, 1] of replacing an input sub-token in training by a random
            one of its vocabulary, independently; targets are not replaced (1 - ``pkeep`` of VQGAN).
        parts: Arguments of :class:`Assembly`.

    Raises:
        UserError: The parts do not fit each other.
    """

    decodings = ('sequential', 'jacobi')

    def __init__(self, *, token_noise: Fraction = 0.0, **parts: Any) -> None:
        super().__init__(**parts)
        self.token_noise = token_noise

    def check_parts(self) -> None:
        """See :meth:`Assembly.check_parts`.

        Raises:
            UserError: The order predicts several tokens at once.
        """
        super().check_parts()
        if max(self.order.groups) > 1:
            raise UserError(
                f'model.order: AutoregressiveGenerator predicts one token at a time, but '
                f'{type(self.order).__name__} predicts several at once.'
            )

    def context(
        self,
        sub_indices: Tensor,
        condition: Tensor | dict[str, Tensor],
        cells: Tensor | None = None,
    ) -> Tensor:
        """Return the context vectors (B, T, dim) that predict the tokens.

        Args:
            sub_indices: int64 (B, T, k), in the order of prediction.
            condition: Data of the conditioner, or labels (B,).
            cells: The order, int64 (B, T); raster order by default.
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
            sub_indices: Ground-truth sub-tokens, int64 (B, T, k) in raster order.
            condition: Data of the conditioner, or labels (B,); -1 is the null class.
        """
        cells = self._cells(len(sub_indices))
        sub_indices = in_order(sub_indices, cells)
        context = self.context(sub_indices, condition, cells)
        logits = self.head.logits(context, sub_indices, **self.rows())
        return [to_raster(x, cells) for x in logits]

    def loss(self, sub_indices: Tensor, condition: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean loss of each sub-token in nats by name, without condition dropout."""
        cells = self._cells(len(sub_indices))
        return self.transformer(sub_indices, _data(condition), cells=cells)

    def teacher(self, batch: int, iteration: int, draws: Tensor | None) -> dict[str, Any]:
        """See :meth:`BaseGenerator.teacher`: the order and the token noise of each sample."""
        order = self.order.num_uniforms
        own = None if draws is None else draws[:, :order]
        cells = self._cells(batch, iteration, own if order else None)
        given: dict[str, Any] = {} if cells is None else dict(cells=cells)
        if self.token_noise and draws is not None:
            given['noise'] = draws[:, order:].unflatten(1, (2, self.num_tokens, -1))
        return given

    @property
    def num_draws(self) -> int:
        """See :attr:`BaseGenerator.num_draws`; token noise adds two for each sub-token."""
        noise = 2 * self.num_tokens * len(self.head.vocab_sizes) if self.token_noise else 0
        return self.order.num_uniforms + noise

    def noisy(self, sub_indices: Tensor, noise: Tensor) -> Tensor:
        """Replace some sub-tokens by random ones; return int64 (B, T, k).

        Args:
            sub_indices: Ground-truth sub-tokens, int64 (B, T, k).
            noise: Uniform numbers (B, 2, T, k) in [0, 1): which to replace, and by which.
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
            noise: Numbers for :meth:`noisy`; None disables it.
        """
        sub_indices, given = in_order(sub_indices, cells), self.rows()
        if targets is not None:
            given['targets'] = in_order(targets, cells)
        inputs = sub_indices if noise is None else self.noisy(sub_indices, noise)
        return self.head.loss(self.context(inputs, condition, cells), sub_indices, **given)

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each image in nats, (B,), in the cell order."""
        cells = self._cells(len(sub_indices))
        sub_indices = in_order(sub_indices, cells)
        context = self.context(sub_indices, condition, cells)
        return self.head.losses_per_token(context, sub_indices, **self.rows()).sum((1, 2))

    def decode(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """Sample int64 (B, T, k) position by position, or by Jacobi iterations over a window."""
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
        """See :meth:`Sampling.least_rows`; only plain weights need it, as the matrix products of
        all others are the same for any number of rows.
        """
        return super().least_rows(sampler) if self._weights(sampler) == 'plain' else 1

    def _weights(self, sampler: SubTokenSampler) -> str:
        return chosen(sampler.weights, self.backbone, self.head)

    def _cells(
        self, batch: int, iteration: int | None = None, draws: Tensor | None = None
    ) -> Tensor | None:
        """Return the order of a batch on the model's device; None for raster order."""
        cells = self.order(batch, iteration, draws)
        return None if cells is None else cells.to(next(self.backbone.parameters()).device)

    def _places(self, prefix: int, cells: Tensor | None, device: torch.device) -> dict[str, Any]:
        """Return the coordinates of the input rows, and for a backbone with ``targets`` those of
        the cells that they predict; nothing in the default case, raster order with one prefix row.
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
