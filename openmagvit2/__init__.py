"""Discrete image tokenizers and token-based image generators, assembled from registries."""

import os

from openmagvit2.memory import keep_freed_memory
from openmagvit2.version import __version__

# Threads that wait for each other sleep instead of spinning: if another program is busy, spinning
# makes a step ten times as long. OpenMP reads the variable when torch is imported, so the tools
# import this package before torch.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
keep_freed_memory()

__all__ = ['__version__']
