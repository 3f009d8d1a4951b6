"""Tensors that are spread over processes, to and from whole ones."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor

try:
    from torch.distributed.tensor import DTensor
except ImportError:
    # torch 2.4 has it elsewhere, and cannot shard as RoleFSDP does: no tensor is one.
    DTensor = ()


def whole(value: Any) -> Any:
    """All of a sharded tensor, on its device, in all processes, which must call this together; any
    other value as it is.
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


def part(value: Any) -> Any:
    """This process's part of a sharded tensor, in the same memory; any other value as it is."""
    return value.to_local() if isinstance(value, DTensor) else value


def gathered(value: Any) -> Any:
    """Tensors within dicts and lists, whole and on the CPU, to be saved by the main process; of
    sharded ones the others, which only send, keep nothing.

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


def like(full: Tensor, own: Tensor) -> Tensor:
    """A whole tensor of a file, spread as another is: each process takes its part, and sends
    nothing.

    Args:
        full: A tensor of the same shape; may be mapped from a file, of which only the part is read.
        own: Says how and on which device; one that is not sharded gives ``full`` back.
    """
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
