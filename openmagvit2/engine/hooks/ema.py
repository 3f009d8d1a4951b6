"""Exponential moving averages of parts of the model."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from openmagvit2.engine.parallel.shards import gathered, like, part
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError
from openmagvit2.protocols import PartlyFrozen
from openmagvit2.registry import HOOKS
from openmagvit2.signatures import Fraction


@HOOKS.register_module()
class SubmoduleEMAHook(Hook):
    """Update averages by ``s <- s + momentum (p - s)`` after each iteration.

    See docs/reference/specification.md, Losses. Validations use the averages.

    In a checkpoint, ``state_dict`` has the raw weights, and ``ema_state_dict`` the averages and the
    current buffers under the same keys. Averages are sharded like their parameters.

    Args:
        modules: Children of the model to average, except frozen ones.
        momentum: 1 - decay, e.g. 0.001 for a decay of 0.999.
        warmup: Limit the decay to (1 + s) / (10 + s) after s earlier updates, and to 0 at the first
            one (TiTok).
    """

    priority = 'NORMAL'

    def __init__(
        self,
        modules: Sequence[str] = ('encoder', 'quantizer', 'decoder'),
        momentum: Fraction = 0.001,
        warmup: bool = False,
    ) -> None:
        self.modules = tuple(modules)
        self.momentum, self.warmup = momentum, warmup
        self.step = get_ema_multi_avg_fn(1 - momentum)
        self.averages: dict[str, Tensor] = {}

    def before_run(self, runner) -> None:
        """Copy the parameters; a resumed training overwrites the copies later.

        Raises:
            UserError: The model has no part with a name in ``modules``.
        """
        self.model = unwrap(runner.model)
        for name in self.modules:
            if not isinstance(getattr(self.model, name, None), nn.Module):
                raise UserError(
                    f'SubmoduleEMAHook: the model has no part `{name}`; correct '
                    f'custom_hooks.*.modules.'
                )
        frozen = self.model.frozen if isinstance(self.model, PartlyFrozen) else ()
        self.modules = tuple(name for name in self.modules if name not in frozen)
        self.averages = {name: p.detach().clone() for name, p in self._parameters().items()}

    def before_train(self, runner) -> None:
        """Start the averages of a new training at its initial weights, which may be loaded."""
        if runner.iter == 0:
            # In training mode a sharded model is sharded, as its averages are.
            runner.model.train()
            for name, parameter in self._parameters().items():
                self.averages[name].copy_(parameter.detach())

    @torch.no_grad()
    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        raw = self._parameters()
        if raw:
            averages = [part(self.averages[name]) for name in raw]
            if self.warmup:
                self.step = get_ema_multi_avg_fn(self._decay(runner.iter))
            self.step(averages, [part(p.detach()) for p in raw.values()], None)

    def _decay(self, updates: int) -> float:
        """Return the decay of an update after a number of earlier updates."""
        return min(1 - self.momentum, (1 + updates) / (10 + updates) if updates else 0.0)

    def before_val_epoch(self, runner) -> None:
        """Swap the averages into the model."""
        self._swap()

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Swap the raw weights back."""
        # A sharded model is gathered in evaluation mode, but its shards were swapped.
        runner.model.train()
        self._swap()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add ``ema_state_dict`` to the checkpoint."""
        # By identity, because a shared parameter has two names in the state dict.
        own = {id(p): self.averages[name] for name, p in self._parameters().items()}
        collect = Tensor.detach if checkpoint['meta'].get('sharded') else _gathered_copy
        checkpoint['ema_state_dict'] = {
            f'{name}.{key}': collect(own.get(id(value), value))
            for name in self.modules
            for key, value in getattr(self.model, name).state_dict(keep_vars=True).items()
        }

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Load ``ema_state_dict``, or the raw weights if there are no averages.

        Raises:
            UserError: A tensor is missing or has another shape.
        """
        state = checkpoint['state_dict'] | checkpoint.get('ema_state_dict', {})
        for name, average in self.averages.items():
            if name not in state or state[name].shape != average.shape:
                raise UserError(f"The checkpoint has no {name} of the model's shape.")
            average.copy_(like(state[name], average))

    def _parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters to average by their names in the state dict."""
        return {
            f'{name}.{key}': parameter
            for name in self.modules
            for key, parameter in getattr(self.model, name).named_parameters()
        }

    @torch.no_grad()
    def _swap(self) -> None:
        """Swap the values of averages and parameters; the memory of shards cannot be swapped."""
        for name, parameter in self._parameters().items():
            average, raw = part(self.averages[name]), part(parameter.detach())
            kept: Tensor = raw.clone()
            raw.copy_(average)
            average.copy_(kept)


def _gathered_copy(tensor: Tensor) -> Tensor:
    return gathered(tensor).clone()
