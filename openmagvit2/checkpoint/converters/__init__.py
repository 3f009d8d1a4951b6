"""The converter slot: official files to ours and back, one module for each system."""

import importlib
import pkgutil

from openmagvit2.checkpoint.converters.base import Converter, choose, converters, is_official

__all__ = ['Converter', 'choose', 'converters', 'is_official']

for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{module.name}')
