"""Train a config: python tools/train.py configs/tiny/lfq_32.py [--work-dir DIR] [--resume [CKPT]]
[--cfg-options K=V …].
"""

import argparse

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS


@console.tool()
def main() -> None:
    parser = argparse.ArgumentParser(description='Train a tokenizer or a generator.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints; default: work_dirs/<path below configs/>',
    )
    resumed = 'a checkpoint, or a folder for its newest; alone: the newest of the work directory'
    parser.add_argument('--resume', nargs='?', const=True, default=False, help=resumed)
    parser.add_argument(
        '--cfg-options', help='overrides, such as train_cfg.max_iters=300', **OPTIONS
    )
    parser.add_argument('--launcher', **console.LAUNCHER)
    args = parser.parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.config import load_config
    from openmagvit2.engine import launch
    from openmagvit2.workflows.train import train

    config = load_config(args.config, args.cfg_options)
    launch.start(args.launcher, config)
    train(config, args.work_dir, args.resume, args.launcher)


if __name__ == '__main__':
    console.finish(main())
