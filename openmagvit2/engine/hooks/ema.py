"""Exponential moving average of some children of the model."""

import copy
from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from openmagvit2.errors import UserError
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class SubmoduleEMAHook(Hook):
    """Averages ``s <- s + momentum (p - s)`` after every iteration, no warm-up (spec §3.5);
    validation runs on the averages.

    ``state_dict`` of a checkpoint stays raw; ``ema_state_dict`` has the averages under the same
    keys. Buffers are copied.

    Args:
        modules: Children of the model to average; those that it keeps frozen are left out.
        momentum: 0.001 is a decay of 0.999.
    """

    priority = 'NORMAL'

    def __init__(
        self, modules: Sequence[str] = ('encoder', 'quantizer', 'decoder'), momentum: float = 0.001
    ) -> None:
        self.modules = tuple(modules)
        self.momentum = momentum

    def before_run(self, runner) -> None:
        """Copy the children; a resume then fills the copies."""
        self.model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name in self.modules:
            if not isinstance(getattr(self.model, name, None), nn.Module):
                raise UserError(
                    f'SubmoduleEMAHook: the model has no part `{name}`; mend '
                    f'custom_hooks.*.modules.'
                )
        frozen = getattr(self.model, 'frozen', ())
        self.averages = {
            name: copy.deepcopy(getattr(self.model, name)).requires_grad_(False)
            for name in self.modules
            if name not in frozen
        }

    def before_train(self, runner) -> None:
        """A fresh training starts the averages from the initial weights, which may have been loaded
        since the copy.
        """
        if runner.iter == 0:
            self._fill(self.model.state_dict())

    @torch.no_grad()
    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """One step of the averages."""
        for name, average in self.averages.items():
            module = getattr(self.model, name)
            own, raw = list(average.parameters()), list(module.parameters())
            if own:
                torch._foreach_lerp_(own, raw, self.momentum)
            for target, source in zip(average.buffers(), module.buffers(), strict=True):
                target.copy_(source)

    def before_val_epoch(self, runner) -> None:
        """Averages in, raw weights aside."""
        self._swap()

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Raw weights back."""
        self._swap()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adds ``ema_state_dict``."""
        checkpoint['ema_state_dict'] = {
            f'{name}.{key}': value.detach().cpu().clone()
            for name, average in self.averages.items()
            for key, value in average.state_dict().items()
        }

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Takes ``ema_state_dict``, or the raw weights where there are no averages."""
        self._fill(checkpoint['state_dict'] | checkpoint.get('ema_state_dict', {}))

    def _fill(self, state: dict) -> None:
        for name, average in self.averages.items():
            prefix = f'{name}.'
            average.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )

    def _swap(self) -> None:
        for name, average in self.averages.items():
            for a, b in zip(
                average.parameters(), getattr(self.model, name).parameters(), strict=True
            ):
                a.data, b.data = b.data, a.data
