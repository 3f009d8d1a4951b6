"""Contract of the conditioner slot."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError


class Conditioner(nn.Module):
    """Map conditions to a prefix of the token sequence; the generator passes ``dim``.

    A subclass implements :meth:`embed` and :meth:`requests`, and :meth:`null` if it has a null
    condition.

    Attributes:
        reads: Names of the entries of a batch that :meth:`embed` reads.
        num_classes: Number of classes, or None if conditions are not labels.
        names: Names of the classes, if known.
        dropout: Probability of replacing a condition by the null condition in training.
        more_rows: Number of rows that it reads in the head's first table after those of the codes.
    """

    reads: tuple[str, ...] = ('label',)
    num_classes: int | None = None
    names: Sequence[str] | None = None
    dropout: float = 0.0
    more_rows: int = 0

    def embed(self, data: dict[str, Tensor], tokens: Any) -> tuple[Tensor, Tensor]:
        """Map the conditions of a batch to vectors.

        Args:
            data: Tensors of a batch by name, such as ``label`` int64 (B,).
            tokens: The head's embedding, whose rows may serve as the prefix, or None.

        Returns:
            The prefix (B, P, dim) of P >= 1 rows before the tokens, and a pooled vector (B, dim)
            for backbones that support ``condition``.
        """
        raise NotImplementedError

    def null(self, n: int) -> dict[str, Tensor] | None:
        """Return the data of ``n`` null conditions, or None if there is no null condition."""
        return None

    def requests(self, conditions: Any) -> tuple[dict[str, Tensor], list[int]]:
        """Parse the conditions of a sampling request.

        Args:
            conditions: B conditions in the format of :meth:`BaseGenerator.generate`.

        Returns:
            Data for :meth:`embed` on the CPU, and a non-negative integer for each condition, which
            is a part of the seed of its samples.

        Raises:
            UserError: The model does not know a condition.
        """
        raise NotImplementedError

    def classes(self, remedy: str) -> range:
        """Return the numbers of all classes.

        Args:
            remedy: What to do if conditions are not numbered classes, for the error.

        Raises:
            UserError: Conditions are not numbered classes.
        """
        if self.num_classes is None:
            raise UserError(
                f'model.conditioner: {type(self).__name__} is not conditioned on class labels; '
                f'{remedy}.'
            )
        return range(self.num_classes)

    def check_batch(self, data: dict) -> None:
        """Check a batch of the data set before it goes to the device.

        Raises:
            UserError: The batch has a condition that the model does not know.
        """

    def check_tokens(self, tokens: Any) -> None:
        """Check the head's embedding when the model is built.

        Raises:
            UserError: The embedding lacks rows that :meth:`embed` needs.
        """

    def drop(self, data: dict[str, Tensor], uniform: Tensor | None = None) -> dict[str, Tensor]:
        """Replace conditions by the null condition with probability ``dropout``.

        Args:
            data: Tensors of a batch by name.
            uniform: Uniform numbers (B,) in [0, 1); a condition is dropped if its number is below
                ``dropout``. Those of data sets are a function of (seed, epoch, index), so that the
                split of the batch over processes does not matter. By default torch draws them.

        Raises:
            UserError: ``dropout`` is above 0 and there is no null condition.
        """
        if not self.dropout:
            return data
        first = next(iter(data.values()))
        null = self.null(len(first))
        if null is None:
            name = type(self).__name__
            raise UserError(
                f'model.conditioner.dropout: {name} has no null condition; set it to 0.'
            )
        if uniform is None:
            uniform = torch.rand(len(first), device=first.device)
        dropped = uniform < self.dropout
        return data | {
            name: torch.where(dropped.view(-1, *[1] * (value.dim() - 1)), value, data[name])
            for name, value in null.items()
        }
