"""What mmengine's Runner is made of here."""

from openmagvit2.engine import generation_loop, hooks, loops, optim, samplers, wrapper

__all__ = ['generation_loop', 'hooks', 'loops', 'optim', 'samplers', 'wrapper']
