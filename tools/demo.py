"""Serve a web page to try models: python tools/demo.py [--tokenizer CONFIG CKPT] [--generator
CONFIG CKPT].
"""

import argparse
import sys

from openmagvit2 import console
from openmagvit2.errors import UserError


@console.tool()
def main() -> None:
    parser = argparse.ArgumentParser(
        description='Show reconstructions and samples on a local web page, by default those of the '
        "quickstart's models."
    )
    more = 'CONFIG CKPT, or a model folder or hub name; may be given several times'
    parser.add_argument('--tokenizer', nargs='+', action='append', default=[], help=more)
    parser.add_argument('--generator', nargs='+', action='append', default=[], help=more)
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument(
        '--side',
        type=int,
        default=512,
        help='maximum side of uploaded images in pixels; larger ones are shrunk',
    )
    parser.add_argument(
        '--max-upload', type=int, default=10, help='maximum size of an upload in MB (10)'
    )
    parser.add_argument('--device', **console.DEVICE)
    args = parser.parse_args()

    from demo_lib.models import load_all
    from demo_lib.page import build

    for option, value in (('side', args.side), ('max-upload', args.max_upload)):
        if value < 1:
            raise UserError(f'--{option} must be at least 1, got {value}.')
    tokenizers, generators = load_all(args.tokenizer, args.generator, args.device)
    serve(build(tokenizers, generators, args.side), args.port, args.max_upload)


def serve(page, port: int, max_upload: int) -> None:
    """Serve the page locally, one request at a time, until Ctrl-C.

    Raises:
        UserError: The port is not free.
    """
    try:
        page.queue(default_concurrency_limit=1, max_size=16).launch(
            server_name='127.0.0.1',
            server_port=port,
            share=False,
            max_file_size=f'{max_upload}mb',
            show_error=True,
        )
    except (OSError, OverflowError) as error:
        raise UserError(f'--port {port} is not free ({error}); choose another.') from error


if __name__ == '__main__':
    sys.exit(main())
