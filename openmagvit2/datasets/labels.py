"""Check labels of a data set against the classes of a model, before the first batch."""

from typing import Protocol

import numpy as np
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.protocols import Classifying

# The label of an image without a class; generators train the null class on it.
UNLABELLED = -1
# Larger numbers are no classes, and do not fit an int64.
LARGEST_LABEL = 2**62


class Labelled(Protocol):
    """The part of a data set's interface that :func:`check_labels` uses."""

    num_classes: int | None

    def all_labels(self) -> np.ndarray | None:
        """Return the label of each image (N,), or None if only reading the images gives them."""

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages: its file, if it has one."""


def check_labels(dataset: Labelled, model: nn.Module) -> str | None:
    """Check that labels are -1 or classes of the model, if it has ``num_classes`` at all.

    Returns:
        What a training on the data set would not learn, for the log; None if it learns all.

    Raises:
        UserError: A label is outside of -1 to ``num_classes - 1``, or the data set has more classes
            than the model and its labels are not known before reading it.
    """
    classes = model.num_classes if isinstance(model, Classifying) else None
    if classes is None:
        return None
    name, own, labels = type(dataset).__name__, dataset.num_classes, dataset.all_labels()
    if labels is None:
        if own is not None and own > classes:
            raise UserError(
                f'{name} has {own} classes, the model {classes}; set '
                f'model.conditioner.num_classes={own}.'
            )
    elif len(labels):
        _check_range(dataset, np.asarray(labels), classes)
        largest = int(np.max(labels))
        if largest == UNLABELLED:
            return (
                f'{name}: none of the {len(labels)} images has a label (all are {UNLABELLED}), '
                'so the training is unconditional: it learns the null class alone.'
            )
        own = largest + 1 if own is None else own
    if own is None or own >= classes:
        return None
    return (
        f'{name} has {own} classes, the model {classes} (model.conditioner.num_classes): classes '
        f'without images are not learned.'
    )


def _check_range(dataset: Labelled, labels: np.ndarray, classes: int) -> None:
    wrong = (labels < UNLABELLED) | (labels >= classes)
    if not wrong.any():
        return
    first = int(wrong.argmax())
    label, largest = int(labels[first]), int(labels.max())
    remedy = f'set model.conditioner.num_classes={largest + 1}, or correct the labels'
    if largest < classes:
        remedy = f'correct the labels; {UNLABELLED} stands for no class'
    raise UserError(
        f'{type(dataset).__name__}: {dataset.describe(first)} has the label {label}, '
        f'but the {classes} classes of the model (model.conditioner.num_classes) go from 0 to '
        f'{classes - 1}; {remedy}.'
    )
