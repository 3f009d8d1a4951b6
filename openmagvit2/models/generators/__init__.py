"""Stage II models."""

from openmagvit2.models.generators.autoregressive import AutoregressiveGenerator
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.generators.class_conditional import ClassConditionalGenerator

__all__ = ['AutoregressiveGenerator', 'BaseGenerator', 'ClassConditionalGenerator']
