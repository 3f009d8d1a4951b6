"""Class labels: their range, and the meaning of -1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.conditioners.base import Conditioner

# The labels of a sampling request.
Labels = Sequence[int] | np.ndarray | Tensor


def class_numbers(labels: Labels, num_classes: int, null: bool = True) -> list[int]:
    """Convert the labels of a sampling request to row numbers of the class table.

    Args:
        labels: Integers (B,) from -1 to ``num_classes``; both ends are the null class.
        num_classes: Number of classes of the model.
        null: Whether the model has a null class.

    Returns:
        Python integers from 0 to ``num_classes``.

    Raises:
        UserError: Labels are not a list, the list is empty, or a label is not an integer or out of
            range.
    """
    try:
        labels = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f'labels must be a list of integers: {error}.') from error
    if labels.dim() != 1 or not len(labels):
        raise UserError(
            f'labels must be a non-empty list of integers, got shape {tuple(labels.shape)}.'
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise UserError(f'labels must be integers, got {labels.dtype}.')
    # A single transfer from the device.
    numbers = labels.tolist()
    for label in numbers:
        if null and not -1 <= label <= num_classes:
            raise UserError(
                f'labels must be from 0 to {num_classes - 1}, or -1 or {num_classes} for the null '
                f'class, got {label}.'
            )
        if not null and not 0 <= label < num_classes:
            raise UserError(
                f'labels must be from 0 to {num_classes - 1} (the model has no null class), got '
                f'{label}.'
            )
    return [num_classes if label == -1 else label for label in numbers]


class Labeled(Conditioner):
    """Base class of conditioners on class labels: ``label``, integers from 0.

    Attributes:
        null_class: Whether there is a null class, with labels -1 and ``num_classes``.
    """

    num_classes: int
    null_class: bool = False

    def requests(self, conditions: Any) -> tuple[dict[str, Tensor], list[int]]:
        """Parse labels from a list, an array or a tensor; see :meth:`Conditioner.requests`."""
        numbers = class_numbers(conditions, self.num_classes, self.null_class)
        return dict(label=torch.tensor(numbers)), numbers

    def check_batch(self, data: dict) -> None:
        """See :meth:`Conditioner.check_batch`."""
        check_labels(data['label'], self.num_classes, self.null_class)


def check_labels(labels: Tensor, num_classes: int, null: bool = True) -> None:
    """Raise UserError if a label of a data loader is not from -1 to ``num_classes - 1``.

    Labels that are already on an accelerator are not checked: that would synchronize with it.

    Args:
        labels: Integers (B,).
        num_classes: Number of classes of the model.
        null: Whether the model has a null class; without one, labels start from 0.
    """
    if labels.device.type != 'cpu' or not labels.numel():
        return
    for label in (labels.min().item(), labels.max().item()):
        if not (-1 if null else 0) <= label < num_classes:
            other = 'or -1 for the null class' if null else 'without a null class'
            raise UserError(
                f'The data set has label {label}, but the model expects 0 to {num_classes - 1}, '
                f'{other}: set model.conditioner.num_classes to the number of classes, or correct '
                f'the labels.'
            )
