"""Loops, hooks, optimizer wrappers and data parallelism that mmengine's Runner is built from."""
