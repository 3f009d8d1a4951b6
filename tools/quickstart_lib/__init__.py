"""The whole path on the embedded images, in minutes: tokenizer, generator, figures, report."""

from quickstart_lib.pipeline import run

__all__ = ['run']
