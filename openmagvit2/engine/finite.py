"""Stop a training at the first loss, gradient or weight that is not finite, and name it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.dist import all_gather_object
from torch import Tensor, nn

from openmagvit2.engine.parallel.shards import part
from openmagvit2.errors import UserError

# Iterations between two checks on an accelerator; each check synchronizes with it.
INTERVAL = 20
# Number of images that an error names.
SHOWN = 8


class NonFiniteError(UserError):
    """A loss, a gradient or a weight is NaN or infinite."""


class FiniteWatch:
    """Record on the device whether losses and gradients are finite, and check at intervals.

    Between checks, no iteration synchronizes with the device. A value whose name ends in ``loss``
    and the gradient of each role must be finite; the error also names other non-finite values.

    Args:
        device_type: A CPU is checked after each iteration, other devices every 20 iterations.
        describe: Returns the name of an image by its index.
    """

    def __init__(self, device_type: str, describe: Callable[[int], str]) -> None:
        self.interval = 1 if device_type == 'cpu' else INTERVAL
        self.describe = describe
        self.records: list[tuple[int, list[str], Tensor, Any]] = []

    def record(
        self,
        iteration: int,
        losses: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor | None],
        batch: Mapping[str, Any],
    ) -> None:
        """Record an iteration; check all records at each interval."""
        flags = {name: torch.as_tensor(value).isfinite().all() for name, value in losses.items()}
        flags |= {f'gradient of {role}': x for role, x in gradients.items() if x is not None}
        if flags:
            device = next(iter(flags.values())).device
            stacked = torch.stack([flag.to(device) for flag in flags.values()])
            self.records.append((iteration, list(flags), stacked, batch.get('index')))
        if len(self.records) >= self.interval:
            self.check()

    def check(self) -> None:
        """Check the recorded iterations.

        Raises:
            NonFiniteError: An iteration was not finite; it names the first one, its values and its
                images.
        """
        records, self.records = self.records, []
        if not records or bool(torch.stack([flags.all() for _, _, flags, _ in records]).all()):
            return
        for iteration, names, flags, index in records:
            bad = [name for name, flag in zip(names, flags.tolist(), strict=True) if not flag]
            if any(name.endswith('loss') or name.startswith('gradient') for name in bad):
                raise NonFiniteError(
                    f'Iteration {iteration}: NaN or infinite {", ".join(bad)}, on '
                    f'{self._images(index)}. The last finite checkpoint is kept; resume it with a '
                    f'lower learning rate, or with train_cfg.non_finite=skip.'
                )

    def _images(self, index: Any) -> str:
        if index is None:
            return 'images without an index'
        numbers = torch.as_tensor(index).flatten().tolist()
        names = ', '.join(self.describe(int(i)) for i in numbers[:SHOWN])
        more = len(numbers) - SHOWN
        return f'{names} and {more} more' if more > 0 else names


def check_parameters(model: nn.Module, state: Mapping[str, Tensor], iteration: int) -> None:
    """Raise NonFiniteError if a parameter to save is not finite; buffers may be infinite."""
    for name, _ in model.named_parameters():
        value = state.get(name)
        if value is not None and value.is_floating_point() and not value.isfinite().all():
            raise NonFiniteError(
                f'Iteration {iteration}: {name} has NaN or infinite numbers and is not saved. The '
                f'last finite checkpoint is kept; resume it with a lower learning rate.'
            )


def check_parameters_together(
    model: nn.Module, state: Mapping[str, Tensor], iteration: int
) -> None:
    """Raise NonFiniteError in all processes if a parameter is not finite in one of them, so that
    all save or none does.
    """
    problem = None
    try:
        check_parameters(model, {name: part(value) for name, value in state.items()}, iteration)
    except NonFiniteError as error:
        problem = str(error)
    for text in all_gather_object(problem):
        if text:
            raise NonFiniteError(text)
