"""Convert official checkpoints to ours and back: python tools/convert_checkpoint.py SRC DST
--config CONFIG [--to official].
"""

import argparse
import sys

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint between the official layout and ours.'
    )
    parser.add_argument(
        'sources',
        nargs='*',
        metavar='SRC',
        help='file to read, without executing anything in it; several files of one model are '
        'joined; a sharded checkpoint (a folder iter_<number>.dcp) becomes a single file',
    )
    parser.add_argument(
        'target',
        nargs='?',
        metavar='DST',
        help='file to write or replace: .pth or .safetensors; official files also .ckpt',
    )
    parser.add_argument('--config', help='config of the model')
    parser.add_argument(
        '--weights', choices=['both', 'ema', 'raw'], default='both', help='which weights to write'
    )
    parser.add_argument('--to', choices=['ours', 'official'], default='ours')
    parser.add_argument(
        '--converter',
        help='the official layout, if several systems have files of the same model; for example '
        'MaskGitTorch',
    )
    parser.add_argument(
        '--entry', help='which weights of SRC, if it has several: an entry such as ema or model.net'
    )
    parser.add_argument(
        '--tokenizer',
        help='generators: compare the tokenizer in SRC with this file, or add it if SRC has none',
    )
    parser.add_argument('--cfg-options', help='overrides for the config', **OPTIONS)
    parser.add_argument(
        '--list', action='store_true', help='list the official files, their places and configs'
    )
    args = parser.parse_args()
    # argparse assigns all paths to the first of the two arguments.
    if args.target is None and args.sources:
        args.target = args.sources.pop()
    if not args.list and not (args.sources and args.target and args.config):
        parser.error('SRC, DST and --config are required (or --list)')
    return args


@console.tool()
def main() -> None:
    args = parse()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.apis.models import published_files
    from openmagvit2.workflows.convert import convert

    if args.list:
        files = [
            (file['file'], file['repository'], f'configs/{name}.py')
            for name, file in published_files()
        ]
        wide = [max(map(len, column)) for column in zip(*files, strict=True)]
        for file, repository, config in files:
            print(f'{file:<{wide[0]}}  {repository:<{wide[1]}}  {config}')
        return
    convert(
        args.sources,
        args.target,
        args.config,
        to=args.to,
        weights=args.weights,
        tokenizer=args.tokenizer,
        cfg_options=args.cfg_options,
        system=args.converter,
        entry=args.entry,
    )
    print(f'wrote {args.target}')


if __name__ == '__main__':
    sys.exit(main())
