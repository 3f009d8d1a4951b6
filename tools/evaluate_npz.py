"""Compare two sets of images: python tools/evaluate_npz.py SAMPLES REFERENCE [--metrics fd,is,precision_recall,kid]."""

import argparse
import json
import sys
from pathlib import Path

from mmengine.config import DictAction

from openmagvit2.evaluation.distributions import ENOUGH, METRICS, Statistics, cached_moments, collect, compare, read_statistics
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.registry import FEATURES


def parse_metrics(text: str, extractor: object, has_images: bool) -> tuple[str, ...]:
    """Names with commas, checked against what there is to compare."""
    names = tuple(text.split(','))
    for name in names:
        if name not in METRICS:
            raise ValueError(f'--metrics {name}: choose of {", ".join(METRICS)}.')
        if name in ('precision_recall', 'kid') and not has_images:
            raise ValueError(f'--metrics {name} compares images: the reference must hold arr_0, or be a folder, not statistics alone.')
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description='Fréchet distance, Inception score, precision and recall, KID of SAMPLES against REFERENCE.')
    parser.add_argument('samples', help='npz with arr_0 (uint8, N x H x W x 3), or a folder')
    parser.add_argument('reference', help='the same, or an npz of statistics (mu, sigma)')
    parser.add_argument('--metrics', help=f'with commas, of {", ".join(METRICS)}; default: all that the reference allows, but kid')
    parser.add_argument('--features', default='FIDInception', help='network: FIDInception, TimmFeatures, or a class of your own')
    parser.add_argument('--features-options', nargs='+', action=DictAction, default={}, help='of the network, as weights=FILE')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--skip-broken', action='store_true', help='leave out files of a folder that cannot be read; they are listed')
    parser.add_argument('--out', help='also write the result as JSON')
    args = parser.parse_args()
    try:
        extractor = FEATURES.build(dict(type=args.features, **args.features_options))
        reference_path = Path(args.reference)
        given = read_statistics(reference_path, extractor.dim)
        images = None
        try:
            images = ImageSet(reference_path, args.skip_broken)
        except ValueError:
            if given is None:
                raise
        metrics = parse_metrics(args.metrics or ('fd,is,precision_recall' if images else 'fd,is'), extractor, images is not None)
        needs_features = bool({'precision_recall', 'kid'} & set(metrics))
        samples = ImageSet(args.samples, args.skip_broken)
        extractor.prepare(args.device)
        ours = collect(samples, extractor, args.batch_size, args.device, Statistics(extractor.dim, needs_features, 'is' in metrics))
        if needs_features:
            theirs = collect(images, extractor, args.batch_size, args.device, Statistics(extractor.dim, True))
        else:
            theirs = given or cached_moments(images, extractor, args.batch_size, args.device)
        values = compare(ours, theirs, extractor, metrics)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    sets = dict(samples=samples, reference=images)
    for name, images_set in sets.items():
        for file in images_set.skipped if images_set else ():
            print(f'skipped, cannot be read ({name}): {file}', file=sys.stderr)
    for name, least in ENOUGH.items():
        if name in metrics and ours.moments[0] < least:
            print(f'warning: {ours.moments[0]} samples are few for {name}; below {least} it depends on their number.', file=sys.stderr)
    record = dict(
        values=values,
        samples=dict(file=args.samples, count=ours.moments[0], sha256=samples.hash()),
        reference=dict(file=args.reference, count=theirs.moments[0] or 'statistics', sha256=images.hash() if images else None),
        network=dict(name=extractor.name, dim=extractor.dim, **extractor.weights_info),
    )
    print(f'{args.samples} ({ours.moments[0]} images) against {args.reference} ({theirs.moments[0] or "statistics"}) through {extractor.name}')
    for key in ('samples', 'reference', 'network'):
        print(f'{key}: ' + ', '.join(f'{name} {value}' for name, value in record[key].items()))
    for name, value in values.items():
        print(f'{name}: {value:.6g}')
    if args.out:
        Path(args.out).write_text(json.dumps(record, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
