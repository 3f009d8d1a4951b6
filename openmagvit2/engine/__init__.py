"""What mmengine's Runner is made of here."""

from openmagvit2.engine import generation_loop, hooks, loops, optim, parallel, reading, samplers

__all__ = ['generation_loop', 'hooks', 'loops', 'optim', 'parallel', 'reading', 'samplers']
