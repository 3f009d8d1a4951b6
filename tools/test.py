"""Evaluate a checkpoint: python tools/test.py work_dirs/lfq_32/lfq_32.py work_dirs/lfq_32/iter_20.pth [--cfg-options K=V …]."""

import argparse
import sys

from mmengine.config import DictAction
from mmengine.dist import is_main_process

from openmagvit2.apis.running import test
from openmagvit2.config import load_config
from openmagvit2.engine import launch


def main() -> int:
    parser = argparse.ArgumentParser(description="Print a config's test metrics for a checkpoint.")
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs; default work_dirs/<config name>')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='overrides, as test_dataloader.batch_size=4')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    args = parser.parse_args()
    try:
        config = load_config(args.config, args.cfg_options)
        launch.start(args.launcher)
        metrics = test(config, args.checkpoint, args.work_dir, args.launcher)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value:.6g}')
    return 0


if __name__ == '__main__':
    launch.finish(main())
