"""One optimizer step on a global batch: micro-batches, means for the log, non-finite numbers."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from openmagvit2.engine.finite import FiniteWatch
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.protocols import ChecksMicroBatches, Rehearsing
from openmagvit2.signatures import accepted


class TrainStep:
    """Run one optimizer step on this process's share of a global batch.

    Args:
        runner: Provides the model and, once it trains, the optimizer wrappers.
        micro_batches: Number of micro-batches to split the share into.
        max_skips: Number of steps with NaN or infinite gradients to skip; the next is an error.
        describe: Returns the name of an image by its index.

    Attributes:
        watch: Checks losses and gradients.
        torn: Whether an error occurred after an optimizer had changed its weights, so that the
            state belongs to no iteration.
    """

    def __init__(
        self,
        runner: Runner,
        micro_batches: int,
        max_skips: int,
        describe: Callable[[int], str],
    ) -> None:
        self.runner, self.micro_batches = runner, micro_batches
        self.max_skips, self.undone = max_skips, 0
        self.watch = FiniteWatch(torch.device(get_device()).type, describe)
        self.torn = False

    def prepare(self) -> None:
        """Set up the optimizer wrappers before the first step.

        Raises:
            UserError: The model cannot train in micro-batches.
        """
        model = unwrap(self.runner.model)
        if self.micro_batches > 1 and isinstance(model, ChecksMicroBatches):
            model.check_micro_batches()
        for wrapper in self._own_wrappers().values():
            wrapper.skip_non_finite = self.max_skips > 0

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Set :attr:`torn` if an error in the context leaves the weights between iterations."""
        before = self._steps()
        try:
            yield
        except BaseException:
            # mmengine's wrappers do not count their steps.
            counted = len(self._own_wrappers()) == len(self._wrappers())
            self.torn = not counted or self._steps() != before
            raise

    def __call__(self, batch: dict[str, Any], iteration: int) -> dict[str, Tensor]:
        """Train on a batch.

        Args:
            batch: This process's share.
            iteration: Number of finished iterations.

        Returns:
            Means of the model's outputs over micro-batches and processes, and gradient norms.
        """
        model = unwrap(self.runner.model)
        buffers: dict[str, Tensor] = {}
        if self.max_skips:
            buffers = {name: value.clone() for name, value in model.named_buffers()}
        skipped = self._skipped()
        logs = self._micro_steps(model, _chunks(batch, self.micro_batches), iteration)
        outputs = _mean_over_processes(
            {name: sum(log[name] for log in logs) / len(logs) for name in logs[0]}
        )
        if self._skipped() > skipped and self.undone < self.max_skips:
            self._undo(model, buffers, iteration)
            return {name: torch.nan_to_num(value) for name, value in outputs.items()}
        gradients = {name: wrapper.finite for name, wrapper in self._own_wrappers().items()}
        self.watch.record(iteration + 1, outputs, gradients, batch)
        return self._gradient_norms() | outputs

    def _micro_steps(
        self, model: nn.Module, micro_batches: list[dict[str, Any]], iteration: int
    ) -> list[dict[str, Tensor]]:
        """Return the outputs of ``train_step`` for each micro-batch of one iteration."""
        own = dict(optim_wrapper=self.runner.optim_wrapper)
        counted = own | dict(iteration=iteration)
        # Models of other packages may not accept the iteration.
        step = self.runner.model.train_step
        given = counted if 'iteration' in accepted(step) else own
        if len(micro_batches) == 1:
            return [step(micro_batches[0], **given)]

        def rehearse() -> None:
            if isinstance(model, Rehearsing):
                for micro in micro_batches:
                    model.rehearse(micro, **counted)

        with one_iteration(model, rehearse):
            return [step(micro, **given) for micro in micro_batches]

    @torch.no_grad()
    def _undo(self, model: nn.Module, buffers: dict[str, Tensor], iteration: int) -> None:
        """Restore the buffers that the forward pass of a skipped step has changed."""
        self.undone += 1
        for name, value in model.named_buffers():
            if name in buffers:
                value.copy_(buffers[name])
        print_log(
            f'Iteration {iteration + 1} is skipped: NaN or infinite gradients ({self.undone} of at '
            f'most {self.max_skips}).',
            'current',
            logging.WARNING,
        )

    def _gradient_norms(self) -> dict[str, Tensor]:
        """Return the gradient norms that this iteration has computed, by their names in the log."""
        norms = {}
        for wrapper in self._own_wrappers().values():
            if wrapper.grad_norm is not None:
                norms[wrapper.grad_name], wrapper.grad_norm = wrapper.grad_norm, None
        return norms

    def _wrappers(self) -> dict[str, Any]:
        """Return the optimizer wrappers by role."""
        wrappers = self.runner.optim_wrapper
        if isinstance(wrappers, OptimWrapperDict):
            return dict(wrappers.items())
        return {'the model': wrappers}

    def _own_wrappers(self) -> dict[str, AutocastOptimWrapper]:
        """Return the wrappers that count their steps, which mmengine's do not."""
        wrappers = self._wrappers().items()
        return {role: w for role, w in wrappers if isinstance(w, AutocastOptimWrapper)}

    def _steps(self) -> int:
        return sum(wrapper.steps for wrapper in self._own_wrappers().values())

    def _skipped(self) -> int:
        return sum(wrapper.skipped for wrapper in self._own_wrappers().values())


def _mean_over_processes(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Average the outputs over processes, so that the log shows the loss of the global batch."""
    if get_world_size() == 1:
        return outputs
    stacked = torch.stack([value.float() for value in outputs.values()])
    all_reduce(stacked, 'mean')
    return dict(zip(outputs, stacked, strict=True))


def _chunks(batch: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    if parts == 1:
        return [batch]
    cut = {name: torch.chunk(value, parts) for name, value in batch.items()}
    return [{name: values[i] for name, values in cut.items()} for i in range(parts)]
