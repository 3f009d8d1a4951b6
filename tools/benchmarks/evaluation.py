"""Time of metrics beside encoding and decoding the same images; networks of metrics are timed for
themselves where their weights are.
"""

import argparse
import time
from collections.abc import Callable

import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics import SHORT_NAMES
from openmagvit2.registry import METRICS

LIGHT = ('psnr', 'ssim', 'usage')
NETWORKS = ('lpips_alex', 'lpips_vgg', 'rfid', 'rfd_efficientnet_lite0')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', default='lfq_256', help='a tokenizer, with random weights')
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--batches', type=int, default=3)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default='cpu')


def run(args: argparse.Namespace) -> int:
    """Print seconds for each image, and what the metrics without networks add."""
    torch.set_num_threads(args.threads)
    model = init_model(args.config, device=args.device)
    data = dict(
        image=torch.randint(0, 256, (args.batch_size, 3, args.size, args.size), dtype=torch.uint8)
    )
    samples: list[dict] = []
    images = args.batch_size * args.batches
    model_time = (
        _seconds(lambda: samples.__setitem__(slice(None), model.val_step(data)), args.batches)
        / images
    )
    print(
        f'{args.config}, {args.size} pixels, batches of {args.batch_size}, {args.device}, '
        f'{args.threads} thread(s); seconds an image'
    )
    print(f'encode and decode: {model_time:.4f}')
    light = 0.0
    for name in (*LIGHT, *NETWORKS):
        metric = METRICS.build(SHORT_NAMES[name])
        try:
            metric.prepare()
        except UserError as error:
            print(f'{name}: not timed, {error}')
            continue
        seconds = (
            _seconds(lambda metric=metric: metric.process(data, samples), args.batches) / images
        )
        light += seconds if name in LIGHT else 0.0
        print(f'{name}: {seconds:.4f}')
    print(f'{", ".join(LIGHT)} add {light / model_time:.1%}')
    return 0


def _seconds(step: Callable[[], object], repeats: int) -> float:
    step()
    begin = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - begin
