"""Conversion between sharded and whole tensors."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor

from openmagvit2.checkpoint.sharded import Stored

try:
    from torch.distributed.tensor import DTensor
except ImportError:
    # torch 2.4 has it elsewhere, and no `fully_shard` for RoleFSDP: no tensor is sharded.
    DTensor = ()


def whole(value: Any) -> Any:
    """Gather a sharded tensor on its device; return any other value as it is.

    All processes must call this together.
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


def part(value: Any) -> Any:
    """Return this process's shard of a tensor, sharing its memory; any other value as it is."""
    return value.to_local() if isinstance(value, DTensor) else value


def gathered(value: Any) -> Any:
    """Gather the tensors in nested dicts and lists on the CPU of the main process.

    The other processes get empty tensors. Tensors are gathered one by one, so that a device holds
    one whole tensor at most beside its shards.
    """
    if isinstance(value, dict):
        return {key: gathered(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(gathered(item) for item in value)
    if isinstance(value, DTensor):
        full = value.full_tensor()
        return full.detach().cpu() if is_main_process() else torch.empty(0)
    return value.detach().cpu() if isinstance(value, Tensor) else value


def empty(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape and type on the device 'meta', not sharded."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device='meta')


def like(full: Tensor | Stored, own: Tensor) -> Tensor:
    """Shard a whole tensor like another one, without communication.

    Args:
        full: A tensor of the same shape, which may be mapped from a file or stored in a sharded
            checkpoint; only this process's shard is read.
        own: The tensor whose placement and device to use. If it is not sharded, return ``full``.
    """
    if isinstance(full, Stored):
        # The step count in an optimizer's state has another shape and is read whole.
        same = isinstance(own, DTensor) and full.shape == own.shape
        return full.into(torch.empty_like(own)) if same else full.whole()
    if not isinstance(own, DTensor):
        return full
    (placement,), mesh = own.placements, own.device_mesh
    parts = full.chunk(mesh.size(), placement.dim)
    rank = mesh.get_local_rank()
    # With fewer rows than processes, the last processes have none.
    mine = parts[rank] if rank < len(parts) else full.narrow(placement.dim, 0, 0)
    mine = mine.to(own.device, copy=True).contiguous()
    return DTensor.from_local(
        mine, mesh, own.placements, run_check=False, shape=full.shape, stride=own.stride()
    )
