"""Train small models and show their images: python tools/quickstart.py [--minutes N]
[--work-dir DIR].
"""

import argparse
import sys
from pathlib import Path

from openmagvit2 import console


@console.tool(stopped='repeat the command to continue')
def main() -> None:
    parser = argparse.ArgumentParser(
        description='Train a tokenizer and a generator on embedded images, and show their images.'
    )
    parser.add_argument(
        '--minutes',
        type=float,
        help='approximate training time on this machine; default: the full trainings',
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    args = parser.parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from quickstart_lib import run

    configs = Path(__file__).parents[1] / 'configs' / 'quickstart'
    metrics = run(configs, args.work_dir, args.minutes)
    for name, value in metrics.items():
        print(f'{name}: {value:.4g}' if isinstance(value, float) else f'{name}: {value}')
    print(f'open {args.work_dir / "report.html"}')


if __name__ == '__main__':
    sys.exit(main())
