"""Which weights these are."""

import hashlib

import torch
from torch import nn


def weights_hash(*modules: nn.Module, without: tuple[str, ...] = ()) -> str:
    """SHA-256 over names, types, shapes and bits of the tensors of some modules, in order; names
    that begin as ``without`` are left out.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            if name.startswith(without):
                continue
            digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
            digest.update(
                tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            )
    return digest.hexdigest()
