"""The whole path on embedded images in minutes: tokenizer, generator, figures, report."""

from openmagvit2.quickstart.pipeline import run

__all__ = ['run']
