"""Train configs with several seeds and tabulate the results: python tools/ablate.py
configs/ablations/table2_tiny --seeds 0 1 2 --work-dir DIR.
"""

import argparse
import json
import sys
from pathlib import Path

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS
from openmagvit2.errors import UserError

# In a training's process, Ctrl-C during startup prints one line.
if __name__ == '__mp_main__':
    console.set_up_output()


def find(paths: list[str]) -> list[Path]:
    """Return config files: files as given, and for a folder the configs directly in it."""
    from openmagvit2.io import usable

    files: list[Path] = []
    for path in map(usable, paths):
        inside = sorted(path.glob('*.py')) if path.is_dir() else [path]
        if not inside or not path.exists():
            raise UserError(f'{path} is neither a config nor a folder of configs.')
        files += inside
    return files


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train and test each config with each seed; repeat the command to continue.'
    )
    parser.add_argument('configs', nargs='+', help='config files, or folders of them')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--work-dir',
        type=Path,
        required=True,
        help='folder for all runs, table.json, table.md and table.png',
    )
    parser.add_argument('--jobs', type=console.count, default=1, help='simultaneous trainings')
    parser.add_argument(
        '--tokenizer',
        type=Path,
        help='config of a tokenizer to train first, if the configs are generators',
    )
    parser.add_argument(
        '--judge',
        action='store_true',
        help='Fashion-MNIST: accuracy of a classifier on samples, and diversity of the samples',
    )
    parser.add_argument('--metrics', nargs='+', help='columns of the table; default: all')
    parser.add_argument('--cfg-options', help='overrides for every config', **OPTIONS)
    return parser.parse_args()


@console.tool(stopped='repeat the command to continue')
def main() -> None:
    args = parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.io import write_text
    from studies import as_markdown, plot_rows, run_all, summarize

    results = run_all(
        find(args.configs),
        args.seeds,
        args.work_dir,
        args.jobs,
        args.tokenizer,
        args.judge,
        args.cfg_options,
    )
    rows = summarize(results)
    unknown = sorted(set(args.metrics or []) - set(rows[0]['metrics']))
    if unknown:
        raise UserError(f'--metrics {unknown[0]}: the runs have {", ".join(rows[0]["metrics"])}.')
    write_text(args.work_dir / 'table.json', json.dumps(rows, indent=2) + '\n')
    table = as_markdown(rows, args.metrics)
    write_text(args.work_dir / 'table.md', table)
    plot_rows(rows, args.metrics or list(rows[0]['metrics']), args.work_dir / 'table.png')
    print(table)


if __name__ == '__main__':
    sys.exit(main())
