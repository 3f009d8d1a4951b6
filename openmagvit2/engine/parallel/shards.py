"""Conversion between sharded and whole tensors."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor

from openmagvit2.checkpoint.sharded import Stored

try:
    from torch.distributed.tensor import DTensor
except ImportError:
    # torch 2.4 has it elsewhere, and cannot shard as RoleFSDP does: no tensor is one.
    DTensor = ()


def whole(value: Any) -> Any:
    """Return a sharded tensor whole, on its device; any other value as it is.

    All processes must call this together.
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


def part(value: Any) -> Any:
    """Return this process's part of a sharded tensor, sharing its memory; other values as is."""
    return value.to_local() if isinstance(value, DTensor) else value


def gathered(value: Any) -> Any:
    """Gather the tensors in nested dicts and lists on the CPU of the main process, to be saved.

    The other processes only send: of a sharded tensor they get an empty one.

    One tensor after the other: no device holds more than the largest beside its own parts.
    """
    if isinstance(value, dict):
        return {key: gathered(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(gathered(item) for item in value)
    if isinstance(value, DTensor):
        full = value.full_tensor()
        return full.detach().cpu() if is_main_process() else torch.empty(0)
    return value.detach().cpu() if isinstance(value, Tensor) else value


def like(full: Tensor | Stored, own: Tensor) -> Tensor:
    """Shard a whole tensor like another one, without communication: each process takes its part.

    Args:
        full: A tensor of the same shape; may be mapped from a file, of which only the part is read,
            or stored in a sharded checkpoint.
        own: The tensor whose placement and device to use; if not sharded, ``full`` is returned.
    """
    if isinstance(full, Stored):
        # torch compares shapes only while it reads.
        same = isinstance(own, DTensor) and full.shape == own.shape
        return full.into(torch.empty_like(own)) if same else full.whole()
    if not isinstance(own, DTensor):
        return full
    (placement,), mesh = own.placements, own.device_mesh
    parts = full.chunk(mesh.size(), placement.dim)
    rank = mesh.get_local_rank()
    # Fewer rows than processes leave the last ones without any.
    mine = parts[rank] if rank < len(parts) else full.narrow(placement.dim, 0, 0)
    mine = mine.to(own.device, copy=True).contiguous()
    return DTensor.from_local(
        mine, mesh, own.placements, run_check=False, shape=full.shape, stride=own.stride()
    )
