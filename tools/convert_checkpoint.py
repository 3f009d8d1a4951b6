"""Official checkpoints to ours and back: python tools/convert_checkpoint.py SRC DST --config CONFIG [--to official]."""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.config import DictAction

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import compare_tokenizers, encoder_and_decoder, read_checkpoint, to_official, to_ours, write_checkpoint
from openmagvit2.checkpoint.official import FILES, is_generator


def compare(inside: dict, path: str, config, weights: str) -> str:
    """Which weights of the tokenizer file ``path``, official or ours, stand in a converted generator."""
    file = read_checkpoint(path)
    with torch.device('meta'):
        model = init_model(config, device='meta').tokenizer
    if any(name.startswith('model_ema.') for name in file['state_dict']):
        file = to_ours(file['state_dict'], model)[0]
    parts = [encoder_and_decoder(file.get(key) or {}) for key in ('state_dict', 'ema_state_dict')]
    return compare_tokenizers(encoder_and_decoder(inside, 'tokenizer.'), *parts)


def main() -> int:
    parser = argparse.ArgumentParser(description='Convert a checkpoint between the official layout and ours.')
    parser.add_argument('source', nargs='?', metavar='SRC', help='file to read; nothing in it is executed')
    parser.add_argument('target', nargs='?', metavar='DST', help='file to write, .pth or .safetensors; an old one is replaced')
    parser.add_argument('--config', help='config of the model')
    parser.add_argument('--weights', choices=['both', 'ema', 'raw'], default='both', help='which weights to write')
    parser.add_argument('--to', choices=['ours', 'official'], default='ours')
    parser.add_argument('--tokenizer', help="generators: say which weights of this tokenizer's file are inside")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='overrides for the config')
    parser.add_argument('--list', action='store_true', help='the official files, where they are, and their configs')
    args = parser.parse_args()
    if args.list:
        for file, repository, config in FILES:
            print(f'{file:<24} TencentARC/{repository:<42} {config}')
        return 0
    if not (args.source and args.target and args.config):
        parser.error('SRC, DST and --config are needed (or --list)')
    try:
        if Path(args.target).suffix not in ('.pth', '.safetensors', '.ckpt'):
            raise ValueError(f'{args.target}: write a checkpoint as .pth or .safetensors.')
        file = read_checkpoint(args.source)
        with torch.device('meta'):
            model = init_model(args.config, device='meta', cfg_options=args.cfg_options or None)
        if args.to == 'official':
            converted, report = to_official(file, model, args.weights)
        else:
            converted, report = to_ours(file['state_dict'], model, args.weights)
        print(report)
        if args.tokenizer and args.to == 'ours':
            if not is_generator(model):
                raise ValueError('--tokenizer goes with the file of a generator.')
            print(compare(converted['state_dict'], args.tokenizer, args.config, args.weights))
        write_checkpoint(converted, args.target)
    except ValueError as error:
        print(f'error: {args.source}: {error}' if str(args.source) not in str(error) else f'error: {error}', file=sys.stderr)
        return 2
    print(f'wrote {args.target}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
