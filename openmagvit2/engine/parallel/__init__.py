"""Several processes on one training."""

from openmagvit2.engine.parallel.ddp import RoleDDP
from openmagvit2.engine.parallel.fsdp import RoleFSDP

__all__ = ['RoleDDP', 'RoleFSDP']
