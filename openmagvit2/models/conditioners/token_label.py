"""Class labels as rows of the token embedding table."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.conditioners.labels import Labeled
from openmagvit2.registry import CONDITIONERS
from openmagvit2.signatures import Count


@CONDITIONERS.register_module()
class TokenLabel(Labeled):
    """Embed a class label with a row of the token embedding table; it has no parameters of its own
    and no null class.

    Args:
        num_classes: Number of classes.
        rows: 'codes': class c shares the row of code c (VQGAN's transformer); 'behind': class c has
            row c after those of the codes, which ``model.head.more_rows`` reserves (MaskGIT).
        names: Names of the classes, for figures and tools.
        dim: Width of the backbone; unused.
    """

    def __init__(
        self,
        *,
        num_classes: Count = 1000,
        rows: str = 'codes',
        names: Sequence[str] | None = None,
        dim: Count | None = None,
    ) -> None:
        super().__init__()
        check_choice('model.conditioner.rows', rows, ('codes', 'behind'))
        self.num_classes, self.names, self.rows = num_classes, names, rows
        self.more_rows = num_classes if rows == 'behind' else 0

    def embed(self, data: dict[str, Tensor], tokens: Any) -> tuple[Tensor, Tensor]:
        """See :meth:`Conditioner.embed`; reads ``label``."""
        row = tokens.digit(0, data['label'] + self._first(tokens))
        return row[:, None], row

    def check_tokens(self, tokens: Any) -> None:
        """See :meth:`Conditioner.check_tokens`.

        Raises:
            UserError: The head has no token embedding table, or too few rows for the labels.
        """
        table = next(iter(tokens.parameters()), None) if tokens is not None else None
        if table is None or tokens.needs_rows:
            raise UserError('model.conditioner: TokenLabel needs a head with a token embedding.')
        wanted = self._first(tokens) + self.num_classes
        if len(table) < wanted:
            raise UserError(
                f'model.conditioner: {self.num_classes} classes need {wanted} rows in the table of '
                f"the first sub-token, which has {len(table)}; with rows='behind' set "
                f'model.head.more_rows to at least {self.num_classes}.'
            )

    def _first(self, tokens: Any) -> int:
        return tokens.num_codes if self.rows == 'behind' else 0
