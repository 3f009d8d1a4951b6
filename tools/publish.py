"""Write a training's weights as a model folder: python tools/publish.py WORK_DIR DST.

Tokenizer.from_pretrained or Generator.from_pretrained load DST, which can also be uploaded to the
Hugging Face hub as it is.
"""

import argparse
import sys

from openmagvit2 import console


@console.tool()
def main() -> None:
    parser = argparse.ArgumentParser(description="Write a training's weights as a model folder.")
    parser.add_argument('work_dir', metavar='WORK_DIR', help='work directory of the training')
    parser.add_argument('target', metavar='DST', help='folder to write')
    parser.add_argument('--weights', choices=['averaged', 'raw'], default='averaged')
    parser.add_argument('--checkpoint', help='checkpoint of the training; default: the newest')
    args = parser.parse_args()

    from openmagvit2.workflows.publish import publish

    hashed = publish(args.work_dir, args.target, args.weights, args.checkpoint)
    print(f'wrote {args.target}: {args.weights} weights, sha256 {hashed}')


if __name__ == '__main__':
    sys.exit(main())
