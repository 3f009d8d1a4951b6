"""Config files: read, merged, translated from version 1, checked."""

from openmagvit2.config.loading import load_config

__all__ = ['load_config']
