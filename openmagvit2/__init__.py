"""Discrete image tokenizers and auto-regressive image generators, assembled from registries."""

__version__ = '0.1.0'
