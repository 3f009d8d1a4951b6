"""Labels of data sets, and their check against a model before the first batch."""

import numpy as np
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.protocols import Classifying

# The label of an image without a class; generators train the null class on it.
UNLABELED = -1
# Larger numbers are not classes, and may not fit in int64.
LARGEST_LABEL = 2**62


class Labeled:
    """Base class of data sets whose samples have a label: a class, or -1 for none."""

    # Names of the classes, if known.
    classes: list[str] | None = None
    # Whether there are labels at all.
    labeled = True

    @property
    def metainfo(self) -> dict:
        """What mmengine passes to evaluators: the names of the classes, if known."""
        return dict(classes=self.classes)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None if it is not known without reading the images."""
        return None if self.classes is None else len(self.classes)

    def all_labels(self) -> np.ndarray | None:
        """Return the label of each image (N,), or None if that requires reading the images."""
        return None

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages."""
        return f'image {index}'

    def check_model(self, model: nn.Module) -> str | None:
        """Check the labels against the classes of a model, if it has any, before training or
        testing.

        Returns:
            A warning about what a training would not learn, such as classes without images, or
            None.

        Raises:
            UserError: A label is not a class of the model, or the data set has more classes than
                the model and its labels are not known without reading the images.
        """
        classes = model.num_classes if isinstance(model, Classifying) else None
        if classes is None:
            return None
        name, own, labels = type(self).__name__, self.num_classes, self.all_labels()
        nothing = None if self.labeled else 'images have no labels'
        if labels is not None and len(labels):
            self._check_range(np.asarray(labels), classes)
            largest = int(np.max(labels))
            own = largest + 1 if own is None else own
            if largest == UNLABELED:
                nothing = f'none of the {len(labels)} images has a label'
        elif own is not None and own > classes:
            raise UserError(
                f'{name} has {own} classes, but the model has {classes}; set '
                f'model.conditioner.num_classes={own}.'
            )
        if nothing:
            return (
                f'{name}: {nothing} (all are {UNLABELED}), so the training is unconditional: it '
                f'learns only the null class.'
            )
        if own is None or own >= classes:
            return None
        return (
            f'{name} has {own} classes, but the model has {classes} '
            f'(model.conditioner.num_classes): classes without images are not learned.'
        )

    def _check_range(self, labels: np.ndarray, classes: int) -> None:
        wrong = (labels < UNLABELED) | (labels >= classes)
        if not wrong.any():
            return
        first = int(wrong.argmax())
        label, largest = int(labels[first]), int(labels.max())
        remedy = f'set model.conditioner.num_classes={largest + 1}, or correct the labels'
        if largest < classes:
            remedy = f'correct the labels; {UNLABELED} means no class'
        raise UserError(
            f'{type(self).__name__}: {self.describe(first)} has the label {label}, but the '
            f'{classes} classes of the model (model.conditioner.num_classes) go from 0 to '
            f'{classes - 1}; {remedy}.'
        )
