"""Reading, merging and checking of config files, and their translation from version 1."""

from openmagvit2.config.loading import load_config

__all__ = ['load_config']
