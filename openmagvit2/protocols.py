"""Methods and attributes that parts of other packages may lack.

Classes of this package have them from their base classes. At the border, where mmengine or a user
hands over a part, ``isinstance(part, Protocol)`` asks for them.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Slotted(Protocol):
    """A class that declares which of its arguments are parts; see :class:`Slot`."""

    slots: dict[str, Any]


@runtime_checkable
class Hinting(Protocol):
    """A class with advice for keys that it does not accept, by key."""

    KEY_HINTS: dict[str, str]


@runtime_checkable
class Staged(Protocol):
    """A model or a metric of one stage: 'tokenizer' or 'generator'."""

    stage: str


@runtime_checkable
class Classifying(Protocol):
    """A model with labels from 0 to ``num_classes - 1``; None: its conditions are no labels."""

    num_classes: int | None


@runtime_checkable
class PartlyFrozen(Protocol):
    """A module that does not train all of its parts: their names, or the parts by name."""

    frozen: Sequence[str] | dict[str, nn.Module]


@runtime_checkable
class ChecksMicroBatches(Protocol):
    """A model that may refuse iterations in several micro-batches."""

    def check_micro_batches(self) -> None:
        """Raise UserError if an iteration cannot be cut into micro-batches."""


@runtime_checkable
class Rehearsing(Protocol):
    """A model that can make the passes of a training step without the step."""

    def rehearse(self, data: dict, optim_wrapper: Any, iteration: int = 0) -> None:
        """Make the passes on one micro-batch."""


@runtime_checkable
class ChecksModel(Protocol):
    """A data set that knows which models can use it."""

    def check_model(self, model: nn.Module) -> str | None:
        """Return a doubt for the log, or None; raise UserError if the model cannot use it."""


@runtime_checkable
class Describing(Protocol):
    """A data set whose images have names."""

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages."""


@runtime_checkable
class Seeking(Protocol):
    """A sampler or a stream that a resumed training goes on with at a sample."""

    def seek(self, samples: int) -> None:
        """Go on after so many samples, counted over all processes."""


@runtime_checkable
class TakesBatches(Protocol):
    """A stream whose position depends on which samples are one batch."""

    def set_batch(self, size: int) -> None:
        """Say how many samples of a process are one batch."""


@runtime_checkable
class Preparing(Protocol):
    """A metric that reads weights or references before the first image."""

    def prepare(self) -> None:
        """Read them."""


@runtime_checkable
class Stating(Protocol):
    """A metric that says how it measures."""

    def statement(self) -> str:
        """Return the protocol in one line."""


@runtime_checkable
class LoadsWeights(Protocol):
    """A loss, or pixels, with weights that are read only when a training starts."""

    def load_weights(self) -> None:
        """Read them."""


@runtime_checkable
class FeatureLayers(Protocol):
    """A discriminator that gives the outputs of its layers."""

    def features(self, image: Tensor) -> list[Tensor]:
        """Map images (B, 3, H, W) to one tensor for each layer."""


@runtime_checkable
class Scaled(Protocol):
    """A quantizer of several scales, as a next-scale generator needs it; see ``MultiScale``."""

    scales: list[tuple[int, int]]

    def accumulate(self, total: Tensor | None, indices: Tensor, s: int) -> Tensor:
        """Add scale ``s`` to the sum (B, D, h, w) of those before it."""

    def add(self, total: Tensor | None, codes: Tensor, s: int) -> Tensor:
        """Do the same with codes (B, D, *scales[s])."""

    def next_input(self, total: Tensor, s: int) -> Tensor:
        """Return what a generator sees of the sum before scale ``s``, (B, groups[s], D)."""

    def teacher_inputs(self, indices: Tensor) -> Tensor:
        """Return the inputs of all scales but the first, (B, T - groups[0], D)."""


@runtime_checkable
class CutByHand(Protocol):
    """A quantizer of version 1 that counts micro-batches itself."""

    whole_batch: bool

    def begin_step(self, *args: Any) -> None:
        """Start an iteration."""
