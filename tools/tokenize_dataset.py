"""Tokenize a data set: python tools/tokenize_dataset.py CONFIG CKPT --out DIR [--crops
center|ten|random:N] [--flip].
"""

import argparse

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Encode a data set once; repeat an interrupted command to continue.'
    )
    parser.add_argument('config', help='config file of a tokenizer, whose data set is encoded')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out', required=True, help='folder for tokens.bin, labels.npy and header.json'
    )
    parser.add_argument(
        '--crops', default='center', help="'center' (default), 'ten', or 'random:N'"
    )
    parser.add_argument('--flip', action='store_true', help='also mirror each view')
    parser.add_argument('--split', choices=['train', 'val'], default='train')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--num-workers', type=int, default=0)
    parser.add_argument('--device', **console.DEVICE)
    options = 'overrides, such as train_dataloader.dataset.data_root=DIR'
    parser.add_argument('--cfg-options', help=options, **OPTIONS)
    parser.add_argument('--launcher', **console.LAUNCHER)
    return parser.parse_args()


@console.tool(stopped='repeat the command to continue', smaller='use a smaller --batch-size')
def main() -> None:
    args = parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.config import load_config
    from openmagvit2.engine import launch
    from openmagvit2.workflows.tokenize import tokenize

    config = load_config(args.config, args.cfg_options)
    launch.start(args.launcher, config)
    recipe = (args.crops, args.flip, args.split, args.batch_size, args.num_workers, args.device)
    header = tokenize(config, args.checkpoint, args.out, *recipe)
    if launch.is_main_process():
        grid = 'x'.join(map(str, header['grid']))
        print(
            f'{args.out}: {header["num_images"]} images x {header["num_views"]} views x '
            f'{grid} tokens ({header["dtype"]})'
        )


if __name__ == '__main__':
    console.finish(main())
