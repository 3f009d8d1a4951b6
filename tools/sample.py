"""Sample images: python tools/sample.py CONFIG CKPT --labels 0-9 --num 16 --out-dir DIR [--seed N] [--guidance S …]."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from openmagvit2.apis import Generator
from openmagvit2.visualization import image_grid, save_image


def parse_labels(text: str) -> list[int]:
    """'0-2,7' to [0, 1, 2, 7]."""
    labels: list[int] = []
    for part in text.split(','):
        first, _, last = part.partition('-')
        try:
            labels += range(int(first), int(last or first) + 1)
        except ValueError:
            raise ValueError(f'--labels {text!r}: write classes as 0-9 or 1,5,7.') from None
    return labels


def main() -> int:
    parser = argparse.ArgumentParser(description='Sample images of classes from a generator.')
    parser.add_argument('config', help='config file of a generator')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--labels', default='0-9', help='classes, as 0-9 or 1,5,7')
    parser.add_argument('--num', type=int, default=16, help='images of each class')
    parser.add_argument('--out-dir', default='samples', help='receives class_<label>/<number>.png and grid.png')
    parser.add_argument('--batch-size', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default=None)
    for name, kind in (('guidance', float), ('temperature', float), ('top-k', int), ('top-p', float)):
        parser.add_argument(f'--{name}', type=kind, nargs='+', help="one number, or one a sub-token; default: the config's eval_sampling")
    parser.add_argument('--schedule', nargs='+', help='of the guidance: constant, linear, cosine, interval; one, or one a sub-token')
    parser.add_argument('--interval', type=float, nargs=2, help='part of the decoding with guidance, for --schedule interval')
    args = parser.parse_args()
    sampling = {name: getattr(args, name) for name in ('guidance', 'temperature', 'top_k', 'top_p', 'schedule', 'interval')}
    sampling = {name: value[0] if len(value) == 1 else value for name, value in sampling.items() if value is not None}
    try:
        if args.num < 1 or args.batch_size < 1:
            raise ValueError('--num and --batch-size must be at least 1.')
        jobs = [(label, number) for label in parse_labels(args.labels) for number in range(args.num)]
        generator = Generator.from_config(args.config, args.checkpoint, args.device)
        images = []
        for i in tqdm(range(0, len(jobs), args.batch_size), desc='batches'):
            labels, numbers = zip(*jobs[i : i + args.batch_size], strict=True)
            images += list(generator.sample(labels, args.seed, numbers, **sampling))
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for (label, number), image in zip(jobs, images, strict=True):
        save_image(image, Path(args.out_dir) / f'class_{label:04d}' / f'{number:05d}.png')
    save_image(image_grid([images[i : i + args.num] for i in range(0, len(images), args.num)]), Path(args.out_dir) / 'grid.png')
    print(f'{len(images)} images and grid.png in {args.out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
