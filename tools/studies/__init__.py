"""Experiments with many configs and seeds."""

from studies.ablation import run_all
from studies.plot import plot_rows
from studies.table import as_markdown, summarize

__all__ = ['as_markdown', 'plot_rows', 'run_all', 'summarize']
