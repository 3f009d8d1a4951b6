"""Stage II models."""

from openmagvit2.models.generators.autoregressive import AutoregressiveGenerator
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.generators.class_conditional import ClassConditionalGenerator
from openmagvit2.models.generators.masked import MaskedGenerator

__all__ = [
    'AutoregressiveGenerator',
    'BaseGenerator',
    'ClassConditionalGenerator',
    'MaskedGenerator',
]
