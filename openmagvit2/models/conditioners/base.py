"""What a conditioner promises."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError


class Conditioner(nn.Module):
    """Conditions of images as vectors in front of their tokens; the generator passes ``dim``.

    A subclass implements :meth:`embed` and :meth:`requests`, and :meth:`null` where an image may
    have no condition.

    Attributes:
        reads: Names of the data that :meth:`embed` reads of a batch.
        num_classes: Number of classes, or None where conditions are no labels.
        names: Names of the classes, where they are known.
        dropout: Probability that a condition becomes null in training.
        more_rows: Rows of the head's first table, behind those of the codes, that it reads.
    """

    reads: tuple[str, ...] = ('label',)
    num_classes: int | None = None
    names: Sequence[str] | None = None
    dropout: float = 0.0
    more_rows: int = 0

    def embed(self, data: dict[str, Tensor], tokens: Any) -> tuple[Tensor, Tensor]:
        """Map conditions of a batch to vectors.

        Args:
            data: Tensors of a batch by name, such as ``label`` int64 (B,).
            tokens: The head's embedding, whose rows may serve as the prefix, or None.

        Returns:
            The prefix (B, P, dim), P >= 1 rows in front of the tokens, and a pooled vector
            (B, dim) for backbones that take a ``condition``.
        """
        raise NotImplementedError

    def null(self, n: int) -> dict[str, Tensor] | None:
        """Return the data of ``n`` images without a condition, or None if there is no null one."""
        return None

    def requests(self, conditions: Any) -> tuple[dict[str, Tensor], list[int]]:
        """Read conditions that a user asks for.

        Args:
            conditions: As :meth:`BaseGenerator.generate` takes them, B of them.

        Returns:
            Data for :meth:`embed` on the CPU, and a whole number from 0 for each condition, a part
            of the seed of its samples.

        Raises:
            UserError: The model does not know one.
        """
        raise NotImplementedError

    def classes(self, remedy: str) -> range:
        """Return the numbers of all classes.

        Args:
            remedy: What to do where conditions are no numbered classes, for the error.

        Raises:
            UserError: They are none.
        """
        if self.num_classes is None:
            raise UserError(
                f'model.conditioner: {type(self).__name__} has no numbered classes; {remedy}.'
            )
        return range(self.num_classes)

    def check_batch(self, data: dict) -> None:
        """Check a batch of the data set before it goes to the device.

        Raises:
            UserError: It has conditions that the model does not know.
        """

    def check_tokens(self, tokens: Any) -> None:
        """Check the head's embedding when the model is built.

        Raises:
            UserError: It lacks the rows that :meth:`embed` needs.
        """

    def drop(self, data: dict[str, Tensor], uniform: Tensor | None = None) -> dict[str, Tensor]:
        """Return data in which some conditions are null.

        Args:
            data: Tensors of a batch by name.
            uniform: Numbers (B,) in [0, 1); below ``dropout`` a condition is dropped. The data
                sets' are a function of (seed, epoch, index), so that the batch's split over
                processes does not matter. By default torch draws them.

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
