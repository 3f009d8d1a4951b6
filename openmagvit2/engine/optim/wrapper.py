"""Optimizer steps with autocast, gradient scaling and checks of the gradients."""

from contextlib import contextmanager, nullcontext

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor
from torch.optim import Optimizer

from openmagvit2.engine.optim.state import check_state, keep_settings, own_state
from openmagvit2.engine.parallel.shards import DTensor, part, whole
from openmagvit2.engine.precision import Precision, fastest_precision
from openmagvit2.errors import check_choice
from openmagvit2.registry import OPTIM_WRAPPERS

DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """mmengine's wrapper with ``torch.autocast`` and, for float16, a gradient scaler.

    Args:
        optimizer: The optimizer.
        dtype: 'float32' (or None), 'bfloat16', 'float16' (float32 on a CPU), or 'auto': the faster
            type of this device (:func:`fastest_precision`), or on resume that of the checkpoint.
        accumulative_counts: Number of micro-batches per step.
        clip_grad: Arguments of ``clip_grad_norm_``, such as ``dict(max_norm=1.0)``.
        role: Name of what the optimizer trains, for errors and the log.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        dtype: str | None = None,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        role: str = 'model',
    ) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)
        if self.clip_grad_kwargs:
            clip = self.clip_func
            # The norm of sharded gradients is sharded too.
            self.clip_func = lambda *args, **kwargs: whole(clip(*args, **kwargs))
        if dtype is not None:
            check_choice('optim_wrapper.dtype', dtype, ('auto', *DTYPES))
        self.device_type = torch.device(get_device()).type
        self.asked_for = dtype or 'float32'
        if self.asked_for == 'auto':
            self._compute_in(fastest_precision(get_device()))
        else:
            self._compute_in(Precision(self.asked_for, 'set by optim_wrapper.dtype'))
        self.role = role
        # Name in the log, and value on the device, of the gradient norm of the last step.
        self.grad_name = f'{role}.grad_norm'
        self.grad_norm: Tensor | None = None
        # Whether the last gradients were finite, on the device.
        self.finite: Tensor | None = None
        # Whether to skip steps with other gradients; the training loop sets it.
        self.skip_non_finite = False
        self.steps = self.skipped = 0

    def _compute_in(self, precision: Precision) -> None:
        if precision.dtype == 'float16' and self.device_type == 'cpu':
            precision = Precision('float32', 'float16 needs a GPU')
        self.precision, self.dtype = precision, DTYPES[precision.dtype]
        self.scaler = (
            torch.amp.GradScaler(self.device_type) if self.dtype is torch.float16 else None
        )

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """Run in autocast; synchronize gradients only for the last micro-batch."""
        # Not every device supports autocast: 'mps' does not before torch 2.5.
        autocast = torch.autocast(self.device_type, self.dtype) if self.dtype else nullcontext()
        with super().optim_context(model), autocast:
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """Scale the loss and run the backward pass."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Unscale, clip and step.

        With ``skip_non_finite``, skip the step if a gradient is NaN or infinite; this synchronizes
        with the device once per step.
        """
        if self.scaler is not None:
            # A scaler checks the gradients and skips steps itself.
            self.steps += 1
            if self.clip_grad_kwargs:
                self.scaler.unscale_(self.optimizer)
                self._clip_grad()
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()
            return
        self.finite = self._gradients_are_finite()
        if self.skip_non_finite and self.finite is not None and not bool(self.finite):
            self.skipped += 1
            return
        self.steps += 1
        super().step(**kwargs)

    def _clip_grad(self) -> None:
        """Clip the gradients as mmengine does, but keep their norm on the device."""
        parameters = self._parameters()
        if parameters:
            self.grad_norm = self.clip_func(parameters, **self.clip_grad_kwargs)

    def _parameters(self) -> list[Tensor]:
        """Return the parameters that have a gradient."""
        groups = self.optimizer.param_groups
        return [p for group in groups for p in group['params'] if p.grad is not None]

    @torch.no_grad()
    def _gradients_are_finite(self) -> Tensor | None:
        """Return whether all gradients are finite, on the device; None without gradients."""
        grads = [p.grad for p in self._parameters()]
        if not grads:
            return None
        norms = torch._foreach_norm([part(grad) for grad in grads])
        finite = torch.stack([norm.float() for norm in norms]).isfinite().all()
        if any(isinstance(grad, DTensor) for grad in grads):
            # A process sees only its shards, and all must take or skip the step together.
            flag = finite.int()
            all_reduce(flag, 'min')
            finite = flag.bool()
        return finite

    def state_dict(self) -> dict:
        """Return the state of optimizer and scaler, the optimizer's type and the compute type."""
        state = super().state_dict() | dict(
            dtype=self.precision.dtype, kind=type(self.optimizer).__name__
        )
        if self.scaler is not None:
            state['scaler'] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a :meth:`state_dict` without the optimizer's settings, which the config sets.

        :meth:`adopt` restores the compute type.

        Raises:
            UserError: The state belongs to another optimizer or to other parameter groups.
        """
        state = dict(state_dict)
        kind, scaler, _ = (state.pop(key, None) for key in ('kind', 'scaler', 'dtype'))
        check_state(self.role, self.optimizer, state, kind)
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)
        with keep_settings(self.optimizer):
            super().load_state_dict(state | dict(state=own_state(self.optimizer, state)))

    def adopt(self, dtype: str) -> str | None:
        """Adopt the compute type of a checkpoint if the config has 'auto'.

        Returns:
            A line for the log if the compute type changes; None otherwise.
        """
        if dtype == self.precision.dtype:
            return None
        if self.asked_for != 'auto':
            return f"optim_wrapper.dtype={self.precision.dtype} replaces the checkpoint's {dtype}."
        self._compute_in(Precision(dtype, 'the type of the checkpoint'))
        return f'optim_wrapper.dtype=auto: {self.precision}'


class RoleOptimWrappers(OptimWrapperDict):
    """The optimizer wrappers of all roles."""

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the state of each role; log each change of the compute type once."""
        # Checkpoints of older versions have no compute type.
        known = {name: state['dtype'] for name, state in state_dict.items() if 'dtype' in state}
        for line in sorted(
            {line for name, dtype in known.items() if (line := self[name].adopt(dtype))}
        ):
            print_log(line, 'current')
        super().load_state_dict(state_dict)
