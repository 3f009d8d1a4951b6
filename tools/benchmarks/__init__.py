"""Measurements of parts on the machine at hand; each module is a command of
``tools/benchmark.py``.
"""

COMMANDS = ('evaluation', 'lfq', 'sampling')
