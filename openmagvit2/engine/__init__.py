"""What mmengine's Runner is made of here."""

from openmagvit2.engine import backend, hooks, loops, optim, samplers, wrapper

__all__ = ['backend', 'hooks', 'loops', 'optim', 'samplers', 'wrapper']
