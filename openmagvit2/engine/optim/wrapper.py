"""Optimizer step with autocast on CPU and GPU."""

from contextlib import contextmanager, nullcontext

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor
from torch.optim import Optimizer

from openmagvit2.checkpoint.sharded import Stored
from openmagvit2.engine.parallel.shards import DTensor, like, part, whole
from openmagvit2.engine.precision import Precision, fastest_precision
from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import OPTIM_WRAPPERS

# Settings of an optimizer that may change during a training without changing its state.
CHANGEABLE = (
    'lr',
    'initial_lr',
    'weight_decay',
    'betas',
    'eps',
    'momentum',
    'dampening',
    'nesterov',
)
DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """mmengine's wrapper with ``torch.autocast`` and, for float16, a gradient scaler.

    Args:
        optimizer: The optimizer.
        dtype: 'float32' (or None), 'bfloat16', 'float16' (float32 on a CPU), or 'auto': what this
            device computes faster (:func:`fastest_precision`), and on resume what the checkpoint
            was trained in.
        accumulative_counts: Micro-batches of one step.
        clip_grad: Arguments of ``clip_grad_norm_``, as ``dict(max_norm=1.0)``.
        role: Prefix of the logged gradient norm.
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
            # The norm of sharded gradients is that of all shards.
            self.clip_func = lambda *args, **kwargs: whole(clip(*args, **kwargs))
        if dtype is not None:
            check_choice('optim_wrapper.dtype', dtype, ('auto', *DTYPES))
        self.device_type = torch.device(get_device()).type
        self.asked_for = dtype or 'float32'
        self.automatic = dtype == 'auto'
        if self.automatic:
            self._compute_in(fastest_precision(get_device()))
        else:
            self._compute_in(Precision(self.asked_for, 'set by optim_wrapper.dtype'))
        self.grad_name = f'{role}.grad_norm'
        # That of the last step, on the device; the loop takes it for the log.
        self.grad_norm: Tensor | None = None
        self.steps = 0
        # Whether the last gradients were finite, on the device; and, set by the loop, whether to
        # skip the steps of others.
        self.finite: Tensor | None = None
        self.skip_non_finite = False
        self.skipped = 0

    def _compute_in(self, precision: Precision) -> None:
        if precision.dtype == 'float16' and self.device_type == 'cpu':
            precision = Precision('float32', 'float16 needs a GPU')
        self.precision, self.dtype = precision, DTYPES[precision.dtype]
        self.scaler = (
            torch.amp.GradScaler(self.device_type) if self.dtype is torch.float16 else None
        )

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """Run in autocast; exchange gradients only for the last micro-batch."""
        # Not every device has autocast: 'mps' has none before torch 2.5.
        autocast = torch.autocast(self.device_type, self.dtype) if self.dtype else nullcontext()
        with super().optim_context(model), autocast:
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """Scale the loss and run its backward pass."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Unscale, clip and step.

        With ``skip_non_finite``, skip the step if a gradient is NaN or infinite; this waits for the
        device once a step.
        """
        if self.scaler is None:
            # A scaler checks the gradients and skips steps by itself.
            self.finite = self._gradients_are_finite()
            if self.skip_non_finite and self.finite is not None and not bool(self.finite):
                self.skipped += 1
                return
            self.steps += 1
            super().step(**kwargs)
            return
        self.steps += 1
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def _clip_grad(self) -> None:
        """Clip the gradients, as mmengine does, without waiting for their norm."""
        groups = self.optimizer.param_groups
        params = [p for group in groups for p in group['params'] if p.grad is not None]
        if params:
            self.grad_norm = self.clip_func(params, **self.clip_grad_kwargs)

    @torch.no_grad()
    def _gradients_are_finite(self) -> Tensor | None:
        grads = [
            p.grad
            for group in self.optimizer.param_groups
            for p in group['params']
            if p.grad is not None
        ]
        if not grads:
            return None
        norms = torch._foreach_norm([part(grad) for grad in grads])
        finite = torch.stack([norm.float() for norm in norms]).isfinite().all()
        if any(isinstance(grad, DTensor) for grad in grads):
            # Each process sees only its shards, and all must take or skip the step together.
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
        """Load a :meth:`state_dict`, except the compute type and the optimizer's settings.

        :meth:`adopt` takes the compute type.

        Raises:
            UserError: The state is of another optimizer or of other parameter groups.
        """
        state_dict = dict(state_dict)
        own = [
            {key: group[key] for key in CHANGEABLE if key in group}
            for group in self.optimizer.param_groups
        ]
        self._check(state_dict)
        scaler = state_dict.pop('scaler', None)
        state_dict.pop('dtype', None)
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict | dict(state=self._owned(state_dict)))
        for group, settings in zip(self.optimizer.param_groups, own, strict=True):
            # A schedule, loaded after this, sets the rate of its position.
            group.update(settings)

    def _owned(self, state_dict: dict) -> dict:
        """Copy the states of a file into this process's memory, sharded like their parameters.

        torch updates the given tensors in place, and those may be mapped from the file.
        """
        order = [p for group in self.optimizer.param_groups for p in group['params']]
        numbers = [number for group in state_dict['param_groups'] for number in group['params']]
        owners = dict(zip(numbers, order, strict=True))
        return {
            number: {key: _owned(value, owners[number]) for key, value in values.items()}
            for number, values in state_dict['state'].items()
        }

    def _check(self, state: dict) -> None:
        role, kind = self.grad_name.partition('.')[0], type(self.optimizer).__name__
        saved = state.pop('kind', kind)
        if saved != kind:
            raise UserError(
                f'optim_wrapper.{role}.optimizer.type={kind}: the checkpoint has the state of '
                f'{saved}; set that, or start from its weights with load_from.'
            )
        groups = [
            [len(group['params']) for group in groups]
            for groups in (self.optimizer.param_groups, state['param_groups'])
        ]
        if groups[0] != groups[1]:
            raise UserError(
                f'optim_wrapper.{role}: groups of {groups[0]} parameters, the checkpoint has '
                f'{groups[1]}; set no_decay_1d as it was.'
            )
        for mine, theirs in zip(self.optimizer.param_groups, state['param_groups'], strict=True):
            if mine.get('amsgrad') != theirs.get('amsgrad'):
                raise UserError(
                    f'optim_wrapper.{role}.optimizer.amsgrad={mine.get("amsgrad")}: the '
                    f'checkpoint has another; set that.'
                )

    def adopt(self, dtype: str) -> str | None:
        """Resume a checkpoint trained in ``dtype``: 'auto' takes that type, an explicit type stays.

        Returns:
            A line for the log if the compute type changes; None otherwise.
        """
        if dtype == self.precision.dtype:
            return None
        if not self.automatic:
            return (
                f'optim_wrapper.dtype={self.precision.dtype} takes the place of the {dtype} of '
                f'the checkpoint.'
            )
        self._compute_in(Precision(dtype, 'the type of the checkpoint'))
        return f'optim_wrapper.dtype=auto: {self.precision}'


def _owned(value: object, owner: Tensor) -> object:
    if isinstance(value, Stored):
        return like(value, owner)
    if not isinstance(value, Tensor):
        return value
    if value.shape == owner.shape and isinstance(owner, DTensor):
        return like(value, owner)
    # torch copies what goes to another device.
    return value.clone() if owner.device.type == 'cpu' else value


class RoleOptimWrappers(OptimWrapperDict):
    """The optimizer wrappers of all roles; logs once what holds for all of them."""

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the state of each role; log each change of the compute type once."""
        # Files of older versions do not say which type they were trained in.
        known = {name: state['dtype'] for name, state in state_dict.items() if 'dtype' in state}
        for line in sorted(
            {line for name, dtype in known.items() if (line := self[name].adopt(dtype))}
        ):
            print_log(line, 'current')
        super().load_state_dict(state_dict)
