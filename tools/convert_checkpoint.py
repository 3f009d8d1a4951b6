"""Official checkpoints to ours and back: python tools/convert_checkpoint.py SRC DST --config CONFIG
[--to official].
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from openmagvit2 import console
from openmagvit2.apis import init_model
from openmagvit2.checkpoint import (
    compare_tokenizers,
    encoder_and_decoder,
    read_checkpoint,
    to_official,
    to_ours,
    write_checkpoint,
)
from openmagvit2.checkpoint.official import FILES, is_generator, is_official, is_ours
from openmagvit2.config import DictAction
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder

if TYPE_CHECKING:
    from torch import nn


def compare(inside: dict, path: str, tokenizer: 'nn.Module') -> str:
    """Which weights of the tokenizer file ``path``, official or ours, stand in a generator of
    ours.
    """
    weights = encoder_and_decoder(inside, 'tokenizer.')
    if not weights:
        return f'There is no tokenizer inside to compare with {path}.'
    file = read_checkpoint(path)
    try:
        if is_official(file['state_dict']):
            file = to_ours(file['state_dict'], tokenizer)[0]
    except UserError as error:
        raise UserError(f'--tokenizer {path}: {error}') from error
    parts = [encoder_and_decoder(file.get(key) or {}) for key in ('state_dict', 'ema_state_dict')]
    return compare_tokenizers(weights, *parts)


def bit_order_note(model: 'nn.Module', state: dict) -> str:
    """Pixels come out right in either order of bits, indices do not; v1 files have no adaptive
    norm.
    """
    order = getattr(getattr(model, 'quantizer', None), 'bit_order', None)
    expected = 'lsb' if any(name.startswith('decoder.adaptive.') for name in state) else 'msb'
    if order in (None, expected):
        return ''
    version = 'with adaptive norm (v2)' if expected == 'lsb' else 'without adaptive norm (v1)'
    return (
        f'note: official tokenizers {version} count indices with '
        f"model.quantizer.bit_order='{expected}'; the config has '{order}'."
    )


def convert(args: argparse.Namespace) -> None:
    """Convert, print the report, write."""
    source, target = Path(args.source), Path(args.target)
    if target.suffix not in ('.pth', '.safetensors') and not (
        target.suffix == '.ckpt' and args.to == 'official'
    ):
        raise UserError(
            f'{target}: write a checkpoint as .pth or .safetensors (official ones as .ckpt too).'
        )
    if source.exists() and target.exists() and source.samefile(target):
        raise UserError(f'{target} is the source itself; name another file to write.')
    file = read_checkpoint(source)
    model = init_model(args.config, device='meta', cfg_options=args.cfg_options or None)
    if args.tokenizer and not is_generator(model):
        raise UserError('--tokenizer goes with the file of a generator.')
    if args.to == 'official':
        converted, report = to_official(file, model, args.weights)
    elif is_ours(file):
        raise UserError(
            'The file is a checkpoint of ours already; --to official goes the other way.'
        )
    else:
        converted, report = to_ours(file['state_dict'], model, args.weights)
    beside = [str(key) for key in file if key not in ('state_dict', 'ema_state_dict')]
    report.add(', '.join(beside), len(beside), 'dropped: entries beside the weights')
    print(report)
    ours = file if args.to == 'official' else converted
    if args.tokenizer:
        print(compare(ours['state_dict'], args.tokenizer, model.tokenizer))
    if note := bit_order_note(model, ours['state_dict']):
        print(note)
    make_folder(target.parent)
    write_checkpoint(converted, target)


def main() -> int:
    console.forgive()
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint between the official layout and ours.'
    )
    parser.add_argument(
        'source', nargs='?', metavar='SRC', help='file to read; nothing in it is executed'
    )
    parser.add_argument(
        'target',
        nargs='?',
        metavar='DST',
        help='file to write, or to replace: .pth or .safetensors; official: .ckpt too',
    )
    parser.add_argument('--config', help='config of the model')
    parser.add_argument(
        '--weights', choices=['both', 'ema', 'raw'], default='both', help='which weights to write'
    )
    parser.add_argument('--to', choices=['ours', 'official'], default='ours')
    parser.add_argument(
        '--tokenizer', help="generators: say which weights of this tokenizer's file are inside"
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='overrides for the config'
    )
    parser.add_argument(
        '--list', action='store_true', help='the official files, where they are, and their configs'
    )
    args = parser.parse_args()
    if args.list:
        for file, repository, config in FILES:
            print(f'{file:<24} TencentARC/{repository:<42} {config}')
        return 0
    if not (args.source and args.target and args.config):
        parser.error('SRC, DST and --config are needed (or --list)')
    try:
        convert(args)
    except UserError as error:
        print(
            f'error: {args.source}: {error}'
            if str(args.source) not in str(error)
            else f'error: {error}',
            file=sys.stderr,
        )
        return 2
    print(f'wrote {args.target}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
