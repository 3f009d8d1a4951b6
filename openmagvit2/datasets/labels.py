"""What data sets say of their labels, and the check against a model before the first batch."""

import numpy as np
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.protocols import Classifying

# The label of an image without a class; generators train the null class on it.
UNLABELLED = -1
# Larger numbers are no classes, and do not fit an int64.
LARGEST_LABEL = 2**62


class Labelled:
    """Base class of data sets whose samples have a label: a class from 0, or -1 for none."""

    # Names of the classes, where they are known.
    classes: list[str] | None = None
    # Whether there are labels at all.
    labelled = True

    @property
    def metainfo(self) -> dict:
        """What mmengine hands to evaluators: the names of the classes, where they are known."""
        return dict(classes=self.classes)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None where they are not known; before any image is read."""
        return None if self.classes is None else len(self.classes)

    def all_labels(self) -> np.ndarray | None:
        """Return the label of each image (N,), or None if only reading the images gives them."""
        return None

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages."""
        return f'image {index}'

    def check_model(self, model: nn.Module) -> str | None:
        """Check the labels against the classes of a model, if it has any; called before a training
        or a test.

        Returns:
            What a training would not learn, such as classes without images; None if it learns all.

        Raises:
            UserError: A label is none of the model's classes, or there are more classes than the
                model's and no labels before the images are read.
        """
        classes = model.num_classes if isinstance(model, Classifying) else None
        if classes is None:
            return None
        name, own, labels = type(self).__name__, self.num_classes, self.all_labels()
        nothing = None if self.labelled else 'images have no labels'
        if labels is not None and len(labels):
            self._check_range(np.asarray(labels), classes)
            largest = int(np.max(labels))
            own = largest + 1 if own is None else own
            if largest == UNLABELLED:
                nothing = f'none of the {len(labels)} images has a label'
        elif own is not None and own > classes:
            raise UserError(
                f'{name} has {own} classes, the model {classes}; set '
                f'model.conditioner.num_classes={own}.'
            )
        if nothing:
            return (
                f'{name}: {nothing} (all are {UNLABELLED}), so the training is unconditional: it '
                f'learns the null class alone.'
            )
        if own is None or own >= classes:
            return None
        return (
            f'{name} has {own} classes, the model {classes} (model.conditioner.num_classes): '
            f'classes without images are not learned.'
        )

    def _check_range(self, labels: np.ndarray, classes: int) -> None:
        wrong = (labels < UNLABELLED) | (labels >= classes)
        if not wrong.any():
            return
        first = int(wrong.argmax())
        label, largest = int(labels[first]), int(labels.max())
        remedy = f'set model.conditioner.num_classes={largest + 1}, or correct the labels'
        if largest < classes:
            remedy = f'correct the labels; {UNLABELLED} stands for no class'
        raise UserError(
            f'{type(self).__name__}: {self.describe(first)} has the label {label}, but the '
            f'{classes} classes of the model (model.conditioner.num_classes) go from 0 to '
            f'{classes - 1}; {remedy}.'
        )
