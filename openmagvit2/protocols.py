"""Optional methods and attributes of parts.

Classes of this package inherit them from their base classes. For parts that may come from mmengine
or a user, the code checks ``isinstance(part, Protocol)``.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Slotted(Protocol):
    """A class that declares which of its arguments are parts; see :class:`registry.Slot`."""

    slots: dict[str, Any]


@runtime_checkable
class Hinting(Protocol):
    """A class with hints for config keys that it does not accept."""

    KEY_HINTS: dict[str, str]


@runtime_checkable
class Staged(Protocol):
    """A model or metric of one stage, 'tokenizer' or 'generator'."""

    stage: str


@runtime_checkable
class Classifying(Protocol):
    """A model with labels from 0 to ``num_classes - 1``; None if conditions are not labels."""

    num_classes: int | None


@runtime_checkable
class PartlyFrozen(Protocol):
    """A module with frozen parts: their names, or the parts by name."""

    frozen: Sequence[str] | dict[str, nn.Module]


@runtime_checkable
class ChecksMicroBatches(Protocol):
    """A model that may reject iterations of several micro-batches."""

    def check_micro_batches(self) -> None:
        """Raise UserError if an iteration cannot be cut into micro-batches."""


@runtime_checkable
class Rehearsing(Protocol):
    """A model that can run the forward passes of a training step without an update."""

    def rehearse(self, data: dict, optim_wrapper: Any, iteration: int = 0) -> None:
        """Run the forward passes on one micro-batch."""


@runtime_checkable
class ChecksModel(Protocol):
    """A data set that checks whether a model can use it."""

    def check_model(self, model: nn.Module) -> str | None:
        """Return a warning for the log, or None; raise UserError if the model cannot use it."""


@runtime_checkable
class Describing(Protocol):
    """A data set that can name its images."""

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages."""


@runtime_checkable
class Seeking(Protocol):
    """A sampler or a stream that can continue at a given sample when training resumes."""

    def seek(self, samples: int) -> None:
        """Skip this many samples, counted over all processes."""


@runtime_checkable
class TakesBatches(Protocol):
    """A stream whose position depends on the batch size."""

    def set_batch(self, size: int) -> None:
        """Set the number of samples per batch and process."""


@runtime_checkable
class Preparing(Protocol):
    """A metric that loads weights or references before the first image."""

    def prepare(self) -> None:
        """Load weights and references."""


@runtime_checkable
class Stating(Protocol):
    """A metric that states its protocol."""

    def statement(self) -> str:
        """Return the protocol in one line."""


@runtime_checkable
class LoadsWeights(Protocol):
    """A loss or a pixel range whose weights are loaded only when training starts."""

    def load_weights(self) -> None:
        """Load the weights."""


@runtime_checkable
class FeatureLayers(Protocol):
    """A discriminator that returns the outputs of its layers."""

    def features(self, image: Tensor) -> list[Tensor]:
        """Map images (B, 3, H, W) to one tensor per layer."""


@runtime_checkable
class Scaled(Protocol):
    """A multi-scale quantizer, required by next-scale generators; see ``MultiScale``."""

    scales: list[tuple[int, int]]

    def accumulate(self, total: Tensor | None, indices: Tensor, s: int) -> Tensor:
        """Add the codes of scale ``s`` to the sum (B, D, h, w) of the previous scales."""

    def add(self, total: Tensor | None, codes: Tensor, s: int) -> Tensor:
        """Do what :meth:`accumulate` does for codes (B, D, *scales[s])."""

    def next_input(self, total: Tensor, s: int) -> Tensor:
        """Return a generator's input at scale ``s`` (B, groups[s], D), from the previous scales."""

    def teacher_inputs(self, indices: Tensor) -> Tensor:
        """Return teacher forcing inputs of all scales but the first, (B, T - groups[0], D)."""


@runtime_checkable
class CutByHand(Protocol):
    """A quantizer of version 1 that counts micro-batches itself."""

    whole_batch: bool

    def begin_step(self, *args: Any) -> None:
        """Start an iteration."""
