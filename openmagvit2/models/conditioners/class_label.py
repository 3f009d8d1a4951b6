"""Class labels as a learned vector before the tokens."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.labels import Labeled
from openmagvit2.registry import CONDITIONERS
from openmagvit2.signatures import Count, Fraction


@CONDITIONERS.register_module()
class ClassLabel(Labeled):
    """Embed a class label with a learned row per class, and one for the null class.

    Labels are integers from 0; -1 and ``num_classes`` are the null class.

    Args:
        num_classes: Number of classes.
        dropout: Probability of replacing a label by the null class in training; required for
            guidance.
        null_class: Whether there is a null class (RQ-Transformer has none).
        names: Names of the classes, for figures and tools.
        dim: Width of the backbone; set by the generator.

    Raises:
        UserError: ``dropout`` is above 0 without a null class.
    """

    def __init__(
        self,
        *,
        num_classes: Count = 1000,
        dropout: Fraction = 0.1,
        null_class: bool = True,
        names: Sequence[str] | None = None,
        dim: Count = 1024,
    ) -> None:
        super().__init__()
        if dropout and not null_class:
            raise UserError(
                f'model.conditioner: labels cannot be dropped without a null class; set dropout=0 '
                f'instead of {dropout}, or null_class=True.'
            )
        self.num_classes, self.dropout, self.names = num_classes, dropout, names
        self.null_class = null_class
        self.weight = nn.Embedding(num_classes + null_class, dim).weight
        nn.init.normal_(self.weight, 0.0, 0.02)

    def forward(self, labels: Tensor) -> Tensor:
        """Map labels int64 (...) to rows (..., dim)."""
        # In data sets, -1 labels an image without a class.
        return F.embedding(torch.where(labels < 0, self.num_classes, labels), self.weight)

    def embed(self, data: dict[str, Tensor], tokens: Any) -> tuple[Tensor, Tensor]:
        """See :meth:`Conditioner.embed`; reads ``label``, and returns its row as both outputs."""
        row = self(data['label'])
        return row[:, None], row

    def null(self, n: int) -> dict[str, Tensor] | None:
        """Return ``n`` labels of the null class, or None if there is no null class."""
        if not self.null_class:
            return None
        return dict(label=torch.full((n,), self.num_classes, device=self.weight.device))
