"""Stage II models."""

from openmagvit2.models.generators.autoregressive import AutoregressiveGenerator
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.generators.masked import MaskedGenerator
from openmagvit2.models.generators.next_scale import NextScaleGenerator

__all__ = ['AutoregressiveGenerator', 'BaseGenerator', 'MaskedGenerator', 'NextScaleGenerator']
