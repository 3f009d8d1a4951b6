"""Numbers that enter a metric must be finite: comparisons with NaN give 0, which looks like a
result.
"""

from torch import Tensor

from openmagvit2.errors import UserError


def check_finite(values: Tensor, what: str) -> Tensor:
    """The values, if all are finite.

    Args:
        values: A tensor of any shape.
        what: Whose they are, in the plural, as 'Features of the generated set'.

    Raises:
        UserError: Some are NaN or infinite.
    """
    if not values.isfinite().all():
        raise UserError(
            f'{what} are not finite (NaN or infinite), so no metric can be taken of them; check '
            f"the network's weights and the images."
        )
    return values
