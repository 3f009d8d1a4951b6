"""Measurements of parts on the machine at hand; each module named here is a command of
``tools/benchmark.py``.

Such a module has ``add_arguments(parser)``, whose defaults make a full run, and ``measure(args,
machine)``, which yields a :class:`benchmarks.report.Result` as soon as it has one. ``args`` holds
``device`` and ``threads`` too, which the tool adds.
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
