"""Data parallelism by role, and the end of all processes if one is lost."""

from openmagvit2.engine.parallel.ddp import RoleDDP
from openmagvit2.engine.parallel.fsdp import RoleFSDP

__all__ = ['RoleDDP', 'RoleFSDP']
