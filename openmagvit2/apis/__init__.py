"""The front door."""

from openmagvit2.apis.init_model import init_model

__all__ = ['init_model']
