"""Convert token caches to files of other code bases and back: python tools/convert_tokens.py CACHE
OUT --to npy|jsonl, and python tools/convert_tokens.py SOURCE CACHE.
"""

import argparse
import sys

from openmagvit2 import console


@console.tool()
def main() -> None:
    parser = argparse.ArgumentParser(
        description="Convert a token cache to LlamaGen's npy folders or RAR's jsonl file, or these "
        'to a token cache.'
    )
    parser.add_argument('source', help='a token cache; without --to, a folder or a jsonl file')
    parser.add_argument('out', help='folder for the files, empty or new')
    parser.add_argument(
        '--to', choices=['npy', 'jsonl'], help='convert a token cache to this format'
    )
    parser.add_argument(
        '--name', default='imagenet256', help='prefix of the names of npy folders (imagenet256)'
    )
    parser.add_argument('--config', help='config of the tokenizer, if there is no header.json')
    parser.add_argument('--checkpoint', help='its checkpoint')
    parser.add_argument('--size', type=int, help='side of the images in pixels')
    parser.add_argument('--views', type=int, help='lines per image in a jsonl file (1)')
    args = parser.parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.config import load_config
    from openmagvit2.errors import UserError
    from openmagvit2.workflows.token_exchange import export_tokens, import_tokens

    if args.to:
        for name in ('config', 'checkpoint', 'size', 'views'):
            if getattr(args, name) is not None:
                raise UserError(f'--{name} is for making a cache; leave it out with --to.')
        images = export_tokens(args.source, args.out, args.to, args.name)
    else:
        config = load_config(args.config) if args.config else None
        given = (config, args.checkpoint, args.size, args.views)
        images = import_tokens(args.source, args.out, *given)['num_images']
    print(f'{args.out}: tokens of {images} images')


if __name__ == '__main__':
    sys.exit(main())
