"""What mmengine's Runner is made of here."""

from openmagvit2.engine import hooks, loops, optim, samplers, wrapper

__all__ = ['hooks', 'loops', 'optim', 'samplers', 'wrapper']
