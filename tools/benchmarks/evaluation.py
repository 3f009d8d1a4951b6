"""Time of metrics, compared with encoding and decoding the same images; metrics with networks are
timed if their weights are available.
"""

import argparse
from collections.abc import Iterator

import torch

from benchmarks.machine import Machine, seconds_of
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.registry import METRICS

LIGHT = ('psnr', 'ssim', 'usage')
NETWORKS = ('lpips_alex', 'lpips_vgg', 'rfid', 'rfd_efficientnet_lite0')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='lfq_256', help='a tokenizer, with random weights')
    parser.add_argument('--size', type=console.count, default=256)
    parser.add_argument('--batch-size', type=console.count, default=2)
    parser.add_argument('--repeats', type=console.count, default=1)


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Measure encoding and decoding, and each metric whose weights are available."""
    model, number = init_model(args.config, device=machine.device), args.batch_size
    data = dict(image=torch.randint(0, 256, (number, 3, args.size, args.size), dtype=torch.uint8))
    samples = model.val_step(data)
    sizes = f'{args.size} pixels, batch {number}'
    model_time = seconds_of(lambda: model.val_step(data), machine.device, args.repeats)
    yield Result(f'{args.config}, encode and decode, {sizes}', model_time, number, 'images')
    light = 0.0
    for name in (*LIGHT, *NETWORKS):
        metric = METRICS.build(SHORT_NAMES[name])
        try:
            metric.prepare()
        except UserError:
            # The weights of its network are not available.
            continue
        seconds = seconds_of(
            lambda metric=metric: metric.process(data, samples), machine.device, args.repeats
        )
        light += seconds if name in LIGHT else 0.0
        note = f'{seconds / model_time:.1%} of encoding and decoding'
        yield Result(f'{name}, {sizes}', seconds, number, 'images', notes=[note])
    note = f'{light / model_time:.1%} of encoding and decoding'
    yield Result(f'{", ".join(LIGHT)} together', light, number, 'images', notes=[note])
