"""Experiments over many configs and seeds."""

from openmagvit2.studies.ablation import run_all
from openmagvit2.studies.plot import plot_rows
from openmagvit2.studies.table import as_markdown, summarize

__all__ = ['as_markdown', 'plot_rows', 'run_all', 'summarize']
