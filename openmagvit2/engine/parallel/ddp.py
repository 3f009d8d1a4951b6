"""Data parallelism by role: each process holds all parameters."""

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from openmagvit2.models.tokenizers.autoencoder import AutoEncoder
from openmagvit2.registry import MODEL_WRAPPERS
from openmagvit2.signatures import accepted


class RoleWrapper(nn.Module):
    """Base class of data-parallel wrappers, which wrap each role of ``module``."""

    module: nn.Module

    def handles(self) -> dict[str, nn.Module]:
        """Return the wrapper of each role."""
        raise NotImplementedError

    def train_step(self, data: dict, optim_wrapper, iteration: int = 0) -> dict[str, Tensor]:
        """Call the model's ``train_step`` with the wrappers; see :func:`counted_step`."""
        return counted_step(self.module, data, optim_wrapper, self.handles(), iteration)

    def val_step(self, data: dict) -> list[dict]:
        """Call the model's ``val_step``."""
        return self.module.val_step(data)

    def test_step(self, data: dict) -> list[dict]:
        """Call the model's ``test_step``."""
        return self.module.test_step(data)


@MODEL_WRAPPERS.register_module()
class RoleDDP(RoleWrapper):
    """Wrap each role of a model in torch's DDP and pass the wrappers to ``train_step``.

    ``module`` is the unchanged model, so checkpoints have the same keys as in a single process.
    """

    def __init__(self, module: nn.Module, find_unused_parameters: bool = False) -> None:
        super().__init__()
        self.module = module
        self.find_unused_parameters = find_unused_parameters
        # A dict is not a child module, so the state dict has each parameter once.
        self._wrapped: dict[str, tuple[list, DistributedDataParallel]] = {}
        self.handles()

    def handles(self) -> dict[str, nn.Module]:
        """Return the wrapper of each current role of the model.

        A role whose modules have changed since the last call (``model.decoder = …``) is wrapped
        again; all processes must change it in the same iteration.
        """
        now = {}
        for name, role in self.module.roles().items():
            # A role also calls frozen modules, which are not its children.
            frozen = [*role.frozen.values()] if isinstance(role, AutoEncoder) else []
            parts = [*role.modules()][1:] + [*role.parameters()] + frozen
            old, handle = self._wrapped.get(name, ([], None))
            same = len(old) == len(parts) and all(a is b for a, b in zip(old, parts, strict=True))
            now[name] = (parts, handle if same else self._wrap(role))
        self._wrapped = now
        return {name: handle for name, (_, handle) in now.items()}

    def _wrap(self, role: nn.Module) -> DistributedDataParallel:
        device = next(role.parameters()).device
        ids = [device.index or torch.cuda.current_device()] if device.type == 'cuda' else None
        # Buffers are not synchronized: the discriminator's BatchNorm is per process, as in the
        # official code.
        return DistributedDataParallel(
            role,
            device_ids=ids,
            broadcast_buffers=False,
            find_unused_parameters=self.find_unused_parameters,
        )


def counted_step(
    model: nn.Module, data: dict, optim_wrapper, handles: dict[str, nn.Module], iteration: int
) -> dict[str, Tensor]:
    """Call ``model.train_step``, with the number of finished iterations if it accepts that."""
    counted = dict(iteration=iteration) if 'iteration' in accepted(model.train_step) else {}
    return model.train_step(data, optim_wrapper, handles, **counted)
