"""Check that values are finite: a comparison with NaN would give 0, like a valid result."""

from torch import Tensor

from openmagvit2.errors import UserError


def check_finite(values: Tensor, what: str) -> Tensor:
    """Return the values if all are finite.

    Args:
        values: A tensor of any shape.
        what: Plural description for the error, such as 'Features of the generated set'.

    Raises:
        UserError: Some values are NaN or infinite.
    """
    if not values.isfinite().all():
        raise UserError(
            f'{what} are not finite (NaN or infinite), so no metric can be computed; check the '
            f"network's weights and the images."
        )
    return values


def check_features(generated: Tensor, reference: Tensor) -> None:
    """Raise UserError if features of either set are not finite."""
    for features, name in ((generated, 'generated'), (reference, 'reference')):
        check_finite(features, f'Features of the {name} set')
