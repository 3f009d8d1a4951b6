"""Values that enter a metric must be finite: a comparison with NaN gives 0, like a result."""

from torch import Tensor

from openmagvit2.errors import UserError


def check_finite(values: Tensor, what: str) -> Tensor:
    """Return the values if all are finite.

    Args:
        values: A tensor of any shape.
        what: Description in the plural for the error, as 'Features of the generated set'.

    Raises:
        UserError: Some are NaN or infinite.
    """
    if not values.isfinite().all():
        raise UserError(
            f'{what} are not finite (NaN or infinite), so no metric can be taken of them; check '
            f"the network's weights and the images."
        )
    return values


def check_features(generated: Tensor, reference: Tensor) -> None:
    """Raise UserError for features that are not finite: comparisons with NaN would give 0."""
    for features, name in ((generated, 'generated'), (reference, 'reference')):
        check_finite(features, f'Features of the {name} set')
