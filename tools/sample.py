"""Sample images: python tools/sample.py CONFIG CKPT --labels 0-9 (--num 16 --out-dir DIR | --npz
FILE --num-per-class 50).
"""

import argparse
import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS
from openmagvit2.errors import UserError

# Slow imports are inside the functions, so that --help does not wait for them.
if TYPE_CHECKING:
    from openmagvit2.apis import Generator
    from openmagvit2.evaluation.rejection import Rejection

# Maximum number of classes that are printed.
SHOWN = 20
# Maximum number of images in memory, for the grid.
MOST_FILES = 100_000
SETTINGS = ('guidance', 'temperature', 'top_k', 'top_p', 'schedule', 'interval')


def parse_labels(text: str, num_classes: int, names: list[str] | None = None) -> list[int]:
    """Parse classes by number, range or exact name: '0-2,7,Bag' to [0, 1, 2, 7, 8].

    Args:
        text: Comma-separated parts; -1 and ``num_classes`` are the null class (any class).
        num_classes: Number of classes of the model.
        names: Names of the classes, if known. A part that is a number is never read as a name.

    Raises:
        UserError: A part is none of these, a range is decreasing, or a class is above
            ``num_classes``.
    """
    # A single name may contain commas.
    parts = [text] if text in (names or ()) else text.split(',')
    return [label for part in parts for label in _labels_of(part.strip(), text, num_classes, names)]


def _labels_of(part: str, text: str, num_classes: int, names: list[str] | None) -> Iterable[int]:
    match = re.fullmatch(r'(\d+)(?:-(\d+))?', part)
    if part == '-1':
        return [num_classes]
    if match is None and part in (names or ()):
        return [names.index(part)]
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise UserError(
            f'--labels {text!r}: write classes as 0-9 or 1,5,7{_or_by_name(part, names)}.'
        )
    # Checked here, because a range may not fit in memory.
    if last > num_classes:
        raise UserError(
            f'--labels {text!r}: classes go from 0 to {num_classes - 1} (or {num_classes}: any '
            f'class), got {last}.'
        )
    return range(first, last + 1)


def _or_by_name(part: str, names: list[str] | None) -> str:
    """Return the part of the error about names, with the closest matches."""
    if names is None:
        return ' (this checkpoint has no names of classes)'
    near = {name.lower(): name for name in names}
    found = [near[name] for name in difflib.get_close_matches(part.lower(), near, n=3)]
    return f', or by name; no class is called {part!r}' + (
        f', similar: {", ".join(found)}' if found else ''
    )


def named(labels: list[int], num_classes: int, names: list[str] | None) -> str:
    """Format the first twenty classes by number and, if known, by name."""
    known = dict(enumerate(names or ())) | {num_classes: '(null class: any class)'}
    listed = [f'{label} {known.get(label, "")}'.strip() for label in labels[:SHOWN]]
    return ', '.join(listed) + (f', … ({len(labels)} in all)' if len(labels) > SHOWN else '')


def sample_files(
    generator: 'Generator',
    args: argparse.Namespace,
    labels: list[int],
    sampling: dict,
    rejection: 'Rejection | None',
) -> str:
    """Check the arguments, then write PNG files and a grid of them."""
    from tqdm import tqdm

    from openmagvit2.evaluation.sample_set import SampleSet
    from openmagvit2.io import claim
    from openmagvit2.visualization import save_grid, save_image
    from openmagvit2.workflows.sample import identity

    if len(labels) * args.num > MOST_FILES:
        raise UserError(
            f'{len(labels) * args.num} images are too many for one grid; write them with --npz and '
            f'--num-per-class, or at most {MOST_FILES}.'
        )
    how = (generator.sampling | sampling, args.seed, rejection)
    samples = SampleSet(generator.model, labels, args.num, *how)
    settings = dict(seed=args.seed) | identity(samples)
    if claim(args.out_dir, settings, 'samples.json', 'class_*', 'samples'):
        print(
            f'{args.out_dir} has samples of the same settings; those of these classes are replaced.'
        )
    images = []
    for part in tqdm(samples.parts(args.batch_size), desc='batches'):
        images.extend(samples.images(part, args.batch_size).movedim(1, -1).cpu().numpy())
    for (label, number), image in zip(samples.pairs, images, strict=True):
        save_image(image, Path(args.out_dir) / f'class_{label:04d}' / f'{number:05d}.png')
    save_grid([images[i : i + args.num] for i in range(0, len(images), args.num)], args.out_dir)
    return f'{len(images)} images and grid.png in {args.out_dir}'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Sample images of classes from a generator.')
    parser.add_argument('config', help='config file of a generator')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--labels',
        help=(
            'classes, such as 0-9 or 1,5,7, or by name; -1: any class; random, with --npz: a '
            'random class for each image; default: 0-9, with --npz all'
        ),
    )
    parser.add_argument('--num', type=int, default=16, help='images per class')
    parser.add_argument(
        '--out-dir',
        default='samples',
        help='folder for class_<label>/<number>.png, grid.png and samples.json',
    )
    parser.add_argument(
        '--npz',
        help=(
            'write one npz instead (arr_0: images, arr_1: labels); repeat an interrupted command '
            'to continue'
        ),
    )
    parser.add_argument('--num-per-class', type=int, default=50, help='images per class in the npz')
    parser.add_argument('--batch-size', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', **console.DEVICE)
    parser.add_argument('--launcher', help='distribute the work, with --npz', **console.LAUNCHER)
    parser.add_argument(
        '--image-size', type=int, help='side of the images; default: that of the config'
    )
    add_sampling(parser)
    return parser.parse_args()


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the sampling settings, which override the config's ``eval_sampling``."""
    for name, kind in (
        ('guidance', float),
        ('temperature', float),
        ('top-k', int),
        ('top-p', float),
    ):
        parser.add_argument(
            f'--{name}',
            type=kind,
            nargs='+',
            help="one number, or one per sub-token; default: the config's eval_sampling",
        )
    parser.add_argument(
        '--schedule',
        nargs='+',
        help='guidance schedule: constant, linear, cosine, interval; one, or one per sub-token',
    )
    parser.add_argument(
        '--interval',
        type=float,
        nargs=2,
        help='part of the decoding that is guided, for --schedule interval',
    )
    parser.add_argument(
        '--rejection',
        help='keep the samples with the highest probability of their class, such as keep=0.05 '
        "model=resnet101 weights=FILE; keep=1 keeps all; default: the config's eval_rejection",
        **OPTIONS,
    )


def given_sampling(args: argparse.Namespace) -> dict:
    """Return the sampling settings of the command line; a list of one becomes its element."""
    given = {name: getattr(args, name) for name in SETTINGS}
    return {
        name: value[0] if len(value) == 1 else value
        for name, value in given.items()
        if value is not None
    }


def run(args: argparse.Namespace) -> str:
    """Sample according to the arguments; return a summary of the output."""
    from openmagvit2.apis import Generator
    from openmagvit2.config.annotations import check_options
    from openmagvit2.engine import launch
    from openmagvit2.evaluation.rejection import build_rejection
    from openmagvit2.evaluation.sample_set import RANDOM
    from openmagvit2.registry import FEATURES
    from openmagvit2.workflows.sample import sample_npz

    sampling = given_sampling(args)
    size = 1 if args.image_size is None else args.image_size
    if min(args.num, args.num_per_class, args.batch_size, size) < 1:
        raise UserError('--num, --num-per-class, --batch-size and --image-size must be at least 1.')
    if args.launcher != 'none' and not args.npz:
        raise UserError('--launcher needs --npz.')
    check_options('--rejection', args.rejection, FEATURES.find('TimmFeatures'))
    launch.start(args.launcher)
    generator = Generator.from_config(args.config, args.checkpoint, args.device)
    num_classes = len(generator.model.conditioner.classes('sample by Generator.sample'))
    if args.image_size is not None:
        generator.model.output_size = (size, size)
    rejection = build_rejection(generator.rejection | args.rejection)
    names = generator.class_names
    everything = f'0-{(num_classes if args.npz else min(num_classes, 10)) - 1}'
    drawn = bool(args.npz) and args.labels == RANDOM
    given = everything if args.labels is None or drawn else args.labels
    labels = parse_labels(given, num_classes, names)
    if launch.is_main_process():
        print(f'classes: {named(labels, num_classes, names)}')
    if args.npz:
        count = sample_npz(
            generator,
            args.npz,
            RANDOM if drawn else labels,
            args.num_per_class,
            args.seed,
            args.batch_size,
            rejection=rejection,
            **sampling,
        )
        return f'{count} images in {args.npz}'
    return sample_files(generator, args, labels, sampling, rejection)


@console.tool(
    stopped='with --npz, repeat the command to continue',
    smaller='use a smaller --batch-size',
)
def main() -> None:
    done = run(parse_args())

    from openmagvit2.engine import launch

    if launch.is_main_process():
        print(done)


if __name__ == '__main__':
    console.finish(main())
