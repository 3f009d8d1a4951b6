"""Optimizer step with autocast on CPU and GPU."""

from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch.optim import Optimizer

from openmagvit2.errors import UserError
from openmagvit2.registry import OPTIM_WRAPPERS

DTYPES = {None: None, 'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """mmengine's wrapper with ``torch.autocast`` and, for float16, a gradient scaler.

    Args:
        optimizer: The optimizer.
        dtype: None (float32), 'bfloat16', or 'float16' (GPU only).
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
        if dtype not in DTYPES:
            raise UserError(f'optim_wrapper.dtype must be one of {", ".join(map(str, DTYPES))}, got {dtype!r}.')
        self.device_type = torch.device(get_device()).type
        self.dtype = DTYPES[dtype]
        if self.dtype is torch.float16 and self.device_type == 'cpu':
            raise UserError("optim_wrapper.dtype='float16' needs a GPU; use 'bfloat16' on a CPU.")
        self.scaler = torch.amp.GradScaler(self.device_type) if self.dtype is torch.float16 else None
        self.grad_name = f'{role}.grad_norm'

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """Autocast, and no gradient exchange until the last micro-batch."""
        with super().optim_context(model), torch.autocast(self.device_type, self.dtype, enabled=self.dtype is not None):
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """Backward of the scaled loss."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Unscale, clip, step."""
        if self.scaler is None:
            super().step(**kwargs)
            return
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def state_dict(self) -> dict:
        """Of the optimizer, with the scaler's."""
        state = super().state_dict()
        if self.scaler is not None:
            state['scaler'] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """The way back."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('scaler', None)
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
