"""Tabulate means and standard deviations of runs."""

import math
import statistics
from collections.abc import Sequence


def summarize(results: Sequence[dict]) -> list[dict]:
    """Summarize runs in one row per config, sorted by name: parameters, iterations, seconds, and
    (mean, sample standard deviation) of each metric.
    """
    rows = []
    for name in sorted({result['config'] for result in results}):
        runs = [result for result in results if result['config'] == name]
        seconds = [run['seconds_per_iteration'] for run in runs]
        metrics = {
            key: _spread([run['metrics'][key] for run in runs]) for key in runs[0]['metrics']
        }
        rows.append(
            dict(
                config=name,
                seeds=len(runs),
                parameters=runs[0]['parameters'],
                iterations=runs[0]['iterations'],
                seconds_per_iteration=statistics.median(seconds),
                metrics=metrics,
            )
        )
    return rows


def as_markdown(rows: Sequence[dict], metrics: Sequence[str] | None = None) -> str:
    """Format the rows of :func:`summarize` as a Markdown table; ``metrics`` selects and orders the
    columns.
    """
    names = list(metrics or rows[0]['metrics'])
    head = ['config', 'parameters', 'iterations', 's / iteration', 'seeds', *names]
    lines = [head, ['---'] * len(head)]
    for row in rows:
        values = [_text(*row['metrics'][name]) for name in names]
        seconds = f'{row["seconds_per_iteration"]:.3f}'
        lines.append(
            [
                row['config'],
                f'{row["parameters"]:,}',
                f'{row["iterations"]:,}',
                seconds,
                str(row['seeds']),
                *values,
            ]
        )
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float('nan')


def _text(mean: float, deviation: float) -> str:
    return f'{mean:.4g}' if math.isnan(deviation) else f'{mean:.4g} ± {deviation:.2g}'
