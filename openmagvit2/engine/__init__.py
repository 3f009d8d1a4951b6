"""What mmengine's Runner is made of here."""

from openmagvit2.engine import hooks, loops, optim, parallel, reading, samplers

__all__ = ['hooks', 'loops', 'optim', 'parallel', 'reading', 'samplers']
