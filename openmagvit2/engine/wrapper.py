"""Data parallelism by role."""

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from openmagvit2.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class RoleDDP(nn.Module):
    """Wraps each role of a model in torch's DDP and hands the handles to ``train_step``.

    The raw model stays as it is below ``module``, so checkpoints have the keys of a single process.
    """

    def __init__(self, module: nn.Module, find_unused_parameters: bool = False) -> None:
        super().__init__()
        self.module = module
        handles = {}
        for name, role in module.roles().items():
            device = next(role.parameters()).device
            ids = [device.index or torch.cuda.current_device()] if device.type == 'cuda' else None
            # Buffers stay local: BatchNorm of the discriminator is per process, as in the official runs.
            handles[name] = DistributedDataParallel(
                role, device_ids=ids, broadcast_buffers=False, find_unused_parameters=find_unused_parameters
            )
        object.__setattr__(self, 'handles', handles)

    def train(self, mode: bool = True) -> 'RoleDDP':
        """Also sets the mode of the handles."""
        super().train(mode)
        for handle in self.handles.values():
            handle.train(mode)
        return self

    def train_step(self, data: dict, optim_wrapper) -> dict[str, Tensor]:
        """The model's, with the handles."""
        return self.module.train_step(data, optim_wrapper, self.handles)

    def val_step(self, data: dict) -> list[dict]:
        """The model's."""
        return self.module.val_step(data)

    def test_step(self, data: dict) -> list[dict]:
        """The model's."""
        return self.module.test_step(data)
