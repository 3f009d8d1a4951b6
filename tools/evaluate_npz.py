"""Compare two sets of images: python tools/evaluate_npz.py SAMPLES REFERENCE [--metrics
fd,is,precision_recall,kid].
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from openmagvit2 import console
from openmagvit2.cfg_options import OPTIONS
from openmagvit2.errors import UserError
from openmagvit2.evaluation.names import METRICS

if TYPE_CHECKING:
    from openmagvit2.evaluation.comparison import Result


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(
            'Fréchet distance, Inception score, precision and recall, KID of SAMPLES '
            'against REFERENCE.'
        )
    )
    add_sets(parser)
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--device', **console.DEVICE)
    parser.add_argument(
        '--config', help='config of a generator: measure its samples without storing them'
    )
    parser.add_argument(
        '--num-per-class', type=int, default=50, help='images per class, with --config'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the samples, with --config')
    parser.add_argument(
        '--labels',
        choices=['all', 'random'],
        default='all',
        help='random: draw the class of each image; with --config',
    )
    parser.add_argument('--rejection', help='see tools/sample.py, with --config', **OPTIONS)
    parser.add_argument('--out', help='also write the result as JSON')
    return parser.parse_args()


def add_sets(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the two sets of images, and how to read and compare them."""
    parser.add_argument(
        'samples',
        help=(
            'npz with arr_0 (uint8, N x H x W x 3), or a folder; with --config, the checkpoint of '
            'a generator'
        ),
    )
    parser.add_argument(
        'reference', help='npz of images, npz of statistics (mu, sigma), or a folder'
    )
    parser.add_argument(
        '--metrics',
        help=(
            f'comma-separated: {", ".join(METRICS)}; default: all that the reference allows but kid'
        ),
    )
    parser.add_argument(
        '--features',
        default='FIDInception',
        help='network: FIDInception, TimmFeatures, or your own class',
    )
    parser.add_argument(
        '--features-options', help='arguments of the network, such as weights=FILE', **OPTIONS
    )
    parser.add_argument(
        '--skip-broken',
        action='store_true',
        help='skip and list files of a folder that cannot be read',
    )
    parser.add_argument(
        '--background',
        default='white',
        help='color behind transparent pixels of files; default: white',
    )


@console.tool(smaller='use a smaller --batch-size')
def main() -> None:
    args = parse_args()

    # Imported after parsing, so that --help does not wait for them.
    from openmagvit2.config.annotations import check_options
    from openmagvit2.io import usable_text
    from openmagvit2.registry import FEATURES
    from openmagvit2.workflows.compare import Generated, compare_sets

    sets = (args.samples, args.reference, args.config or args.samples)
    if args.out and not usable_text(args.out).absolute().parent.is_dir():
        raise UserError(f'--out {args.out}: its folder does not exist.')
    if args.out and Path(args.out).is_dir():
        raise UserError(f'--out {args.out}: this is a folder; name a file.')
    if args.out and Path(args.out).resolve() in map(Path.resolve, map(Path, sets)):
        raise UserError(f'--out {args.out}: this is an input; name another file.')
    check_options('--rejection', args.rejection, FEATURES.find('TimmFeatures'))
    samples: str | Generated = args.samples
    if args.config:
        drawn = args.labels == 'random'
        images = (args.num_per_class, args.seed, drawn, args.rejection)
        samples = Generated(args.config, args.samples, *images)
    elif args.labels != 'all' or args.rejection:
        raise UserError('--labels and --rejection need --config: a set of images is not sampled.')
    result = compare_sets(
        samples,
        args.reference,
        metrics=tuple(args.metrics.split(',')) if args.metrics else None,
        features=dict(type=args.features, **args.features_options),
        batch_size=args.batch_size,
        device=args.device,
        skip_broken=args.skip_broken,
        background=args.background,
    )
    # Write before printing: a failing terminal must not lose the result.
    try:
        if args.out:
            write(result, args.out)
    finally:
        show(result, args.samples, args.reference)


def write(result: 'Result', out: str) -> None:
    """Write the result as JSON."""
    from openmagvit2.io import write_text

    if Path(out).is_file():
        print(f'{out} is from an earlier evaluation and is replaced.', file=sys.stderr)
    text = json.dumps(asdict(result), indent=2, ensure_ascii=False) + '\n'
    # File names may contain bytes that are not valid text.
    text = text.encode('utf-8', 'backslashreplace').decode()
    write_text(out, text)


def show(result: 'Result', samples: str, reference: str) -> None:
    """Print skipped files and warnings to stderr, protocol and values to stdout."""
    for name, files in result.skipped.items():
        for file in files:
            print(f'skipped, cannot be read ({name}): {file}', file=sys.stderr)
        if files:
            print(f'skipped: {len(files)} files of the {name}', file=sys.stderr)
    for text in result.warnings:
        print(f'warning: {text}', file=sys.stderr)
    counts = [f'{result.samples["count"]} images', f'{result.reference["images"] or "no"} images']
    counts[1] += ' and statistics of its own' if result.reference['statistics'] else ''
    print(
        f'{samples} ({counts[0]}) against {reference} ({counts[1]}) through '
        f'{result.network["name"]}'
    )
    for key in ('samples', 'reference', 'network', 'protocol', 'versions'):
        print(
            f'{key}: '
            + ', '.join(f'{name} {value}' for name, value in getattr(result, key).items())
        )
    for name, value in result.values.items():
        print(f'{name}: {value:.6g}')


if __name__ == '__main__':
    sys.exit(main())
