"""Benchmarks of parts on this machine; each module named here is a command of
``tools/benchmark.py``.

Each module has ``add_arguments(parser)``, whose defaults make a full run, and ``measure(args,
machine)``, which yields each :class:`benchmarks.report.Result` as soon as it is available. The tool
adds ``device`` and ``threads`` to ``args``.
"""

PARTS = (
    'lfq',
    'tokenizer',
    'train_step',
    'ar_train',
    'sampling',
    'decoding',
    'paradigms',
    'growth',
    'data',
    'evaluation',
    'startup',
)
