"""Evaluate a checkpoint: python tools/test.py CONFIG CKPT [--metrics psnr,ssim,usage] [--size
N|original] [--cfg-options K=V …].
"""

import argparse

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS
from openmagvit2.evaluation.names import PROTOCOLS, SHORT_NAMES


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print a config's test metrics for a checkpoint.")
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--metrics', help=f"instead of the config's, comma-separated: {', '.join(SHORT_NAMES)}"
    )
    parser.add_argument(
        '--size',
        help=(
            "side of resize and center crop, or 'original': images at their own sizes, padded to "
            'the stride'
        ),
    )
    parser.add_argument(
        '--protocol',
        choices=PROTOCOLS,
        help="official: PSNR, SSIM and rFID exactly as in the paper's repository",
    )
    parser.add_argument(
        '--pad', choices=['gray', 'black'], help='border for --size original; default: gray'
    )
    parser.add_argument(
        '--work-dir',
        help='folder for logs and metrics.json; default: work_dirs/<path below configs/>',
    )
    parser.add_argument(
        '--cfg-options', help='overrides, such as test_dataloader.batch_size=4', **OPTIONS
    )
    parser.add_argument('--launcher', **console.LAUNCHER)
    return parser.parse_args()


@console.tool(smaller='use a smaller test_dataloader.batch_size')
def main() -> None:
    args = parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.config import load_config
    from openmagvit2.engine import launch
    from openmagvit2.workflows.test import test

    config = load_config(args.config, args.cfg_options)
    launch.start(args.launcher, config)
    names = args.metrics.split(',') if args.metrics else None
    where = (args.checkpoint, args.work_dir, args.launcher)
    metrics = test(config, *where, names, args.size, args.protocol, args.pad)
    if launch.is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value:.6g}')


if __name__ == '__main__':
    console.finish(main())
