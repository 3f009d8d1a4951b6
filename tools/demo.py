"""A page to try models on: python tools/demo.py [--tokenizer CONFIG CKPT] [--generator CONFIG
CKPT].
"""

import argparse
import sys

from openmagvit2 import console
from openmagvit2.errors import UserError


def main() -> int:
    console.forgive()
    parser = argparse.ArgumentParser(
        description='Show reconstructions and samples on a page of this machine, by default those '
        "of the quickstart's models."
    )
    more = 'CONFIG CKPT, or a model folder or hub name; may be given several times'
    parser.add_argument('--tokenizer', nargs='+', action='append', default=[], help=more)
    parser.add_argument('--generator', nargs='+', action='append', default=[], help=more)
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument('--side', type=int, default=512, help='pixels that pictures are shrunk to')
    parser.add_argument('--max-upload', type=int, default=10, help='MB of an upload (10)')
    parser.add_argument('--device', help='as cuda:1, mps, cpu')
    args = parser.parse_args()

    from demo_lib.models import load_all
    from demo_lib.page import build

    try:
        tokenizers, generators = load_all(args.tokenizer, args.generator, args.device)
        page = build(tokenizers, generators, args.side)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    # One at a time, and never on another address than this machine's own.
    page.queue(default_concurrency_limit=1, max_size=16).launch(
        server_name='127.0.0.1',
        server_port=args.port,
        share=False,
        max_file_size=f'{args.max_upload}mb',
        show_error=True,
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
