"""Loops, hooks, optimizers and data parallelism for mmengine's Runner."""
