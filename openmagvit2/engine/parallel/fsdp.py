"""Sharding by role: each process holds part of the parameters, gradients and optimizer states."""

import copy

import torch
import torch.distributed as dist
from mmengine.device import get_device
from torch import Tensor, nn

from openmagvit2.engine.parallel.ddp import RoleWrapper
from openmagvit2.engine.parallel.shards import empty, whole
from openmagvit2.errors import UserError
from openmagvit2.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class RoleFSDP(RoleWrapper):
    """Shard each role of a generator with torch's ``fully_shard``: its blocks, then the rest.

    In training mode the children of ``module`` are sharded. In evaluation mode copies with whole
    parameters replace them in every process, so that sampling and validation work as without
    sharding, even in a single process. This needs memory for the whole parameters, but not for
    gradients and optimizer states.

    Args:
        module: The model, on its device.
        reshard_after_forward: Free the whole parameters of a block between forward and backward
            pass, which saves memory and adds one all-gather.

    Raises:
        UserError: torch is older than 2.6, or the model has several roles, whose losses use each
            other's modules.
    """

    def __init__(self, module: nn.Module, reshard_after_forward: bool = True) -> None:
        super().__init__()
        shard = _fully_shard()
        roles = module.roles()
        if len(roles) > 1:
            raise UserError(
                f'model_wrapper_cfg.type=RoleFSDP shards generators; {type(module).__name__} '
                f'trains {" and ".join(roles)} against each other. Use RoleDDP.'
            )
        self.module = module
        for parameter in module.parameters():
            dist.broadcast(parameter.detach(), 0)
        # The children with parameters of a role, and their replacements in evaluation.
        self._sharded = _parts(module, roles)
        self._plain = {name: _on_meta(child) for name, child in self._sharded.items()}
        self._is_whole = False
        options = dict(
            mesh=dist.init_device_mesh(torch.device(get_device()).type, (dist.get_world_size(),)),
            reshard_after_forward=reshard_after_forward,
        )
        # A dict is not a child module, so the state dict has each parameter once.
        self._handles = {}
        for name, role in roles.items():
            for block in reversed(list(_blocks(role))):
                shard(block, **options)
            self._handles[name] = shard(role, **options | dict(reshard_after_forward=False))

    def train(self, mode: bool = True) -> 'RoleFSDP':
        """Shard the parameters for training, or gather them for evaluation.

        All processes must switch to evaluation together.
        """
        if self._is_whole == mode:
            self._change(whole_parameters=not mode)
        return super().train(mode)

    @torch.no_grad()
    def _change(self, whole_parameters: bool) -> None:
        for name, sharded in self._sharded.items():
            plain = self._plain[name]
            for path, parameter in sharded.named_parameters(remove_duplicate=False):
                owner, _, leaf = path.rpartition('.')
                full = whole(parameter) if whole_parameters else empty(parameter)
                setattr(
                    plain.get_submodule(owner), leaf, nn.Parameter(full, parameter.requires_grad)
                )
            setattr(self.module, name, plain if whole_parameters else sharded)
        self._is_whole = whole_parameters

    def handles(self) -> dict[str, nn.Module]:
        """Return the sharded roles."""
        return self._handles


def _fully_shard():
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise UserError(
            f'model_wrapper_cfg.type=RoleFSDP needs torch 2.6 or newer, this is '
            f'{torch.__version__}; use RoleDDP.'
        ) from error
    return fully_shard


def _parts(module: nn.Module, roles: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Return the children of the model that have the parameters of its roles, by name."""
    left = {id(parameter) for role in roles.values() for parameter in role.parameters()}
    parts = {}
    for name, child in module.named_children():
        own = {id(parameter) for parameter in child.parameters()}
        if own & left:
            parts[name] = child
            left -= own
    if left:
        raise UserError(
            f'model_wrapper_cfg.type=RoleFSDP: {type(module).__name__} has {len(left)} trained '
            f'parameters of its own; move them into a child module.'
        )
    return parts


def _blocks(role: nn.Module) -> list[nn.Module]:
    """List the elements of module lists that have children, outermost first.

    Single layers stay with the rest of the role, because losses may read their weights directly.
    """
    return [
        block
        for blocks in role.modules()
        if isinstance(blocks, nn.ModuleList)
        for block in blocks
        if len(list(block.children())) and not isinstance(block, (nn.ModuleList, nn.ModuleDict))
    ]


def _on_meta(module: nn.Module) -> nn.Module:
    """Copy a module with parameters on the device 'meta' and the same buffers."""
    memo: dict[int, Tensor] = {id(buffer): buffer for buffer in module.buffers()}
    memo |= {
        id(parameter): nn.Parameter(empty(parameter), parameter.requires_grad)
        for parameter in module.parameters()
    }
    return copy.deepcopy(module, memo)
