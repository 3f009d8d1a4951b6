"""Plot training curves: python tools/plot.py WORK_DIR… [--keys loss psnr] [--out curves.svg]."""

import argparse
import fnmatch
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from openmagvit2 import console
from openmagvit2.errors import UserError

Curve = dict[int, float]
# Fonts with Chinese, Japanese and Korean characters for folder names; matplotlib's font has none.
FONTS = ('Noto Sans CJK SC', 'WenQuanYi Micro Hei', 'Microsoft YaHei', 'Hiragino Sans')
# Entries of a log line that are not plotted.
PLACES = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')


def read_curves(work_dir: str | Path) -> dict[str, Curve]:
    """Return the values of a training by name and iteration.

    A folder has one log per start. From its first iteration on, each log replaces the earlier ones,
    so that a resumed training gives one curve.

    Raises:
        UserError: There is no log, or a line is not JSON.
    """
    from openmagvit2.io import usable

    logs = sorted(usable(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise UserError(
            f'{work_dir}: no <time>/vis_data/scalars.json; name the folder of a training.'
        )
    curves: dict[str, Curve] = {}
    for log in logs:
        rows = _rows(log)
        begin = min((row['step'] for row in rows), default=0)
        curves = {
            name: {step: value for step, value in curve.items() if step < begin}
            for name, curve in curves.items()
        }
        for row in rows:
            for name, value in row.items():
                if name not in PLACES and isinstance(value, (int, float)):
                    curves.setdefault(name, {})[row['step']] = value
    return {name: curve for name, curve in curves.items() if curve}


def _rows(log: Path) -> list[dict]:
    rows = []
    # A line that is being written may end inside a character.
    lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):  # the training is still writing it, or was killed
                break
            raise UserError(f'{log}, line {number} is not JSON: {error}.') from error
        if isinstance(row, dict) and isinstance(row.get('step'), int):
            rows.append(row)
    return rows


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Average each value with up to ``window - 1`` previous ones."""
    parts = (values[max(i - window + 1, 0) : i + 1] for i in range(len(values)))
    return [sum(part) / len(part) for part in parts]


def chosen(runs: dict[str, dict[str, Curve]], patterns: Sequence[str]) -> list[str]:
    """Return the names of curves that match a pattern, in the order of the patterns.

    Raises:
        UserError: A pattern matches no curve.
    """
    names = sorted({name for curves in runs.values() for name in curves})
    found: list[str] = []
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise UserError(f'--keys {pattern}: no such curve; there are {", ".join(names)}.')
        found += [name for name in matching if name not in found]
    return found


def plot(
    runs: dict[str, dict[str, Curve]],
    names: Sequence[str],
    out: str | Path,
    window: int = 1,
    log_scale: bool = False,
) -> None:
    """Write a figure with one panel per name and one line per run, as PNG, SVG or PDF.

    Raises:
        UserError: ``out`` has another ending, or cannot be written.
    """
    import matplotlib

    # A backend without a display must be chosen before pyplot is imported.
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    from matplotlib.font_manager import fontManager

    from openmagvit2.io import write_atomically

    installed = {font.name for font in fontManager.ttflist}
    plt.rcParams['font.family'] = ['sans-serif', *(font for font in FONTS if font in installed)]

    kind = Path(out).suffix[1:].lower()
    if kind not in ('png', 'svg', 'pdf'):
        raise UserError(f'--out {out}: choose a file that ends in .png, .svg or .pdf.')
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    size = (5 * columns, 3.2 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout='constrained')
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        for run, curves in runs.items():
            steps, values = list(curves.get(name, {})), list(curves.get(name, {}).values())
            marker = 'o' if len(steps) < 3 else None
            axis.plot(steps, smooth(values, window), label=run, marker=marker)
        axis.set(title=name, xlabel='iteration', yscale='log' if log_scale else 'linear')
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    if len(runs) > 1:
        axes.flat[0].legend(fontsize='small')
    with write_atomically(out) as file, warnings.catch_warnings():
        # Characters that no font has are drawn as boxes.
        warnings.filterwarnings('ignore', r'Glyph .* missing from')
        figure.savefig(file, format=kind, dpi=100)
    plt.close(figure)


@console.tool()
def main() -> None:
    parser = argparse.ArgumentParser(description='Plot curves of one or several trainings.')
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=['*'],
        help="names or patterns, such as loss 'usage*'; default: all",
    )
    parser.add_argument('--out', help='.png, .svg or .pdf; default: curves.png in the first folder')
    parser.add_argument(
        '--smooth', type=console.count, default=1, help='number of values to average over'
    )
    parser.add_argument('--log', action='store_true', help='logarithmic scale')
    args = parser.parse_args()
    out = args.out or Path(args.work_dirs[0]) / 'curves.png'
    runs = {folder: read_curves(folder) for folder in args.work_dirs}
    names = chosen(runs, args.keys)
    plot(runs, names, out, args.smooth, args.log)
    print(f'{out}: {", ".join(names)}')


if __name__ == '__main__':
    sys.exit(main())
