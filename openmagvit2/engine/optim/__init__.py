"""Optimizers by role, their steps and schedules."""

from openmagvit2.engine.optim.constructor import RoleOptimConstructor
from openmagvit2.engine.optim.schedule import WarmupDecayLR
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper', 'RoleOptimConstructor', 'WarmupDecayLR']
