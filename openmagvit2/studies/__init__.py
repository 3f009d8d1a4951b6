"""Experiments over many configs and seeds."""

from openmagvit2.studies.ablation import run_all
from openmagvit2.studies.table import as_markdown, summarize

__all__ = ['as_markdown', 'run_all', 'summarize']
