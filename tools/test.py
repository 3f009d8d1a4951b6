"""Evaluate a checkpoint: python tools/test.py CONFIG CKPT [--metrics psnr,ssim,usage] [--size
N|original] [--cfg-options K=V …].
"""

import argparse
import sys

from openmagvit2 import console
from openmagvit2.config_options import DictAction
from openmagvit2.errors import UserError
from openmagvit2.evaluation.names import PROTOCOLS, SHORT_NAMES


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print a config's test metrics for a checkpoint.")
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--metrics', help=f"instead of the config's, with commas: {', '.join(SHORT_NAMES)}"
    )
    parser.add_argument(
        '--size',
        help=(
            "side of resize and centre crop, or 'original': images as they are, padded to "
            'the stride'
        ),
    )
    parser.add_argument(
        '--protocol',
        choices=PROTOCOLS,
        help="official: PSNR, SSIM and rFID to the letter of the paper's repository",
    )
    parser.add_argument(
        '--pad', choices=['gray', 'black'], help='border for --size original; default: gray'
    )
    parser.add_argument(
        '--work-dir',
        help='folder for logs and metrics.json; default work_dirs/<path below configs/>',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='overrides, as test_dataloader.batch_size=4',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    return parser.parse_args()


def main() -> int:
    console.forgive()
    args = parse_args()

    # Below the command line, whose --help need not wait for them.
    from openmagvit2.config import load_config
    from openmagvit2.engine import launch
    from openmagvit2.workflows.test import test

    try:
        config = load_config(args.config, args.cfg_options)
        launch.start(args.launcher, config)
        names = args.metrics.split(',') if args.metrics else None
        metrics = test(
            config,
            args.checkpoint,
            args.work_dir,
            args.launcher,
            names,
            args.size,
            args.protocol,
            args.pad,
        )
    except UserError as error:
        print(f'error: {launch.sentence(error)}', file=sys.stderr)
        return 2
    if launch.is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value:.6g}')
    return 0


if __name__ == '__main__':
    code = main()

    from openmagvit2.engine import launch

    launch.finish(code)
