"""Loops, hooks, optimizer wrappers and data parallelism that mmengine's Runner is built from."""

from openmagvit2.engine import (
    generation_loop,
    hooks,
    loops,
    optim,
    parallel,
    reading,
    samplers,
    validation_loop,
)

__all__ = [
    'generation_loop',
    'hooks',
    'loops',
    'optim',
    'parallel',
    'reading',
    'samplers',
    'validation_loop',
]
