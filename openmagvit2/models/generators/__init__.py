"""Stage II models."""

from openmagvit2.models.generators.autoregressive import AutoregressiveGenerator
from openmagvit2.models.generators.base import BaseGenerator

__all__ = ['AutoregressiveGenerator', 'BaseGenerator']
