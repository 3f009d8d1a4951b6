"""Keep the logged values of iterations on the device until they are read."""

from typing import Any

import torch
from mmengine.hooks import RuntimeInfoHook
from torch import Tensor

from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class ScalarsHook(RuntimeInfoHook):
    """Pass the outputs of iterations to mmengine's message hub when it is read.

    It is read for a line of the log, a checkpoint, a validation, and at the end. mmengine's hook
    converts each output to a number at once, which synchronizes with the device.
    """

    # Largest number of iterations to keep, if no hook of this package reads them.
    most = 1000

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Keep the outputs."""
        if outputs:
            self.waiting.append({k: _detached(v) for k, v in outputs.items()})
        if len(self.waiting) >= self.most:
            self.flush(runner)

    def before_val(self, runner) -> None:
        """Flush, then do what mmengine's hook does."""
        self.flush(runner)
        super().before_val(runner)

    def after_train(self, runner) -> None:
        """Flush."""
        self.flush(runner)

    def flush(self, runner) -> None:
        """Pass on all outputs in order of iteration; this synchronizes with the device once."""
        waiting, self.waiting = self.waiting, []
        tensors = [x for outputs in waiting for x in outputs.values() if isinstance(x, Tensor)]
        numbers = iter(_numbers(tensors))
        for outputs in waiting:
            for name, value in outputs.items():
                number = next(numbers) if isinstance(value, Tensor) else value
                runner.message_hub.update_scalar(f'train/{name}', number)


def flush_scalars(runner) -> None:
    """Pass the outputs of iterations to the message hub, before it is read."""
    for hook in runner.hooks:
        if isinstance(hook, ScalarsHook):
            hook.flush(runner)


def _detached(value: Any) -> Any:
    # A copy, because a running value may be updated in place before it is read.
    return value.detach().clone() if isinstance(value, Tensor) else value


def _numbers(tensors: list[Tensor]) -> list[float]:
    """Convert scalars to numbers, with one synchronization if they are on one device."""
    places = {x.device for x in tensors}
    if len(places) != 1 or places == {torch.device('cpu')}:
        return [x.item() for x in tensors]
    return torch.stack([x.reshape(()).float() for x in tensors]).tolist()
