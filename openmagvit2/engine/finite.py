"""Stop a training whose numbers are no longer finite, and name the first such number."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.dist import all_gather_object
from torch import Tensor, nn

from openmagvit2.engine.parallel.shards import part
from openmagvit2.errors import UserError

# Iterations between two checks on an accelerator, each of which waits for it.
INTERVAL = 20
SHOWN = 8


class NonFiniteError(UserError):
    """A loss, a gradient or a weight is NaN or infinite."""


class FiniteWatch:
    """Record on the device whether losses and gradients are finite, and check at intervals.

    No iteration waits for the device. Each value whose name ends in ``loss`` counts, and the
    gradient of each role; the message also names other values that are not finite.

    Args:
        device_type: A CPU is checked after each iteration, others every 20.
        describe: Returns the name of an image by its index.
    """

    def __init__(self, device_type: str, describe: Callable[[int], str]) -> None:
        self.interval = 1 if device_type == 'cpu' else INTERVAL
        self.describe = describe
        self.noted: list[tuple[int, list[str], Tensor, Any]] = []

    def note(
        self,
        iteration: int,
        losses: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor | None],
        batch: Mapping[str, Any],
    ) -> None:
        """Record the flags of an iteration; check all records at each interval."""
        flags = {name: torch.as_tensor(value).isfinite().all() for name, value in losses.items()}
        flags |= {f'gradient of {role}': x for role, x in gradients.items() if x is not None}
        if flags:
            device = next(iter(flags.values())).device
            stacked = torch.stack([flag.to(device) for flag in flags.values()])
            self.noted.append((iteration, list(flags), stacked, batch.get('index')))
        if len(self.noted) >= self.interval:
            self.check()

    def check(self) -> None:
        """Check the recorded flags.

        Raises:
            NonFiniteError: The first iteration that was not finite, by number, with its losses and
                its images.
        """
        noted, self.noted = self.noted, []
        if not noted or bool(torch.stack([flags.all() for _, _, flags, _ in noted]).all()):
            return
        for iteration, names, flags, index in noted:
            bad = [name for name, flag in zip(names, flags.tolist(), strict=True) if not flag]
            if any(name.endswith('loss') or name.startswith('gradient') for name in bad):
                raise NonFiniteError(
                    f'Iteration {iteration}: NaN or infinite {", ".join(bad)}, on '
                    f'{self._images(index)}. The last checkpoint with finite numbers is kept; go '
                    f'on from it with a lower learning rate, or with train_cfg.non_finite=skip.'
                )

    def _images(self, index: Any) -> str:
        if index is None:
            return 'images without an index'
        numbers = torch.as_tensor(index).flatten().tolist()
        names = ', '.join(self.describe(int(i)) for i in numbers[:SHOWN])
        more = len(numbers) - SHOWN
        return f'{names} and {more} more' if more > 0 else names


def check_parameters(model: nn.Module, state: Mapping[str, Tensor], iteration: int) -> None:
    """Check that parameters are finite before they are saved; buffers may hold infinities.

    Raises:
        NonFiniteError: A parameter is not finite.
    """
    for name, _ in model.named_parameters():
        value = state.get(name)
        if value is not None and value.is_floating_point() and not value.isfinite().all():
            raise NonFiniteError(
                f'Iteration {iteration}: {name} has NaN or infinite numbers and is not saved; the '
                f'last checkpoint with finite numbers is kept. Go on from it with a lower '
                f'learning rate.'
            )


def check_parameters_together(
    model: nn.Module, state: Mapping[str, Tensor], iteration: int
) -> None:
    """Check the parts of all processes, so that all save theirs or none does.

    Raises:
        NonFiniteError: A parameter is not finite in some process; raised in all.
    """
    problem = None
    try:
        check_parameters(model, {name: part(value) for name, value in state.items()}, iteration)
    except NonFiniteError as error:
        problem = str(error)
    for text in all_gather_object(problem):
        if text:
            raise NonFiniteError(text)
