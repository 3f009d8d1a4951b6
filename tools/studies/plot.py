"""Plot means and standard deviations of runs."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of a backend without a display)


def plot_rows(rows: Sequence[dict], metrics: Sequence[str], path: str | Path) -> None:
    """Plot the rows of :func:`table.summarize`: one panel per metric, one point with its standard
    deviation per config, the first config on top.
    """
    figure, axes = plt.subplots(
        1,
        len(metrics),
        figsize=(1.5 + 3.2 * len(metrics), 1 + 0.4 * len(rows)),
        sharey=True,
        squeeze=False,
    )
    places = range(len(rows))[::-1]
    for axis, name in zip(axes[0], metrics, strict=True):
        means, deviations = zip(*(row['metrics'][name] for row in rows), strict=True)
        axis.errorbar(means, places, xerr=deviations, fmt='o', capsize=4)
        axis.set(xlabel=name, yticks=list(places), yticklabels=[row['config'] for row in rows])
        # Leaves room for the caps and points of the outer rows, even if there are only two.
        axis.set_ylim(-0.5, len(rows) - 0.5)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
