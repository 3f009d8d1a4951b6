"""Time and memory of one image, from label to pixels, for generators of several paradigms."""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.memory import resident_peak
from benchmarks.report import Result, number
from openmagvit2 import console
from openmagvit2.apis import Generator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument(
        '--configs',
        nargs='+',
        default=['ar_b_256', 'var/ar_d16_256'],
        help='generators, with random weights; all are compared with the first',
    )
    parser.add_argument('--repeats', type=console.count, default=1, help='images after a warm-up')


def measure(args: argparse.Namespace, machine: Any) -> Iterator[Result]:
    """Yield a result per config: one image in float32, sampled with its ``eval_sampling``."""
    first = None
    for config in args.configs:
        result = _result(config, args.repeats, machine)
        first = first or result
        if result is not first:
            result.notes.append(
                f'{number(first.seconds / result.seconds)} times as fast as {first.name}'
            )
        yield result


def _result(config: str, repeats: int, machine: Any) -> Result:
    generator = Generator.from_config(config)
    model = generator.model.to(machine.device)
    own = sum(p.numel() for n, p in model.named_parameters() if not n.startswith('tokenizer.'))
    with resident_peak() as memory:
        generator.sample([0])
    seconds, tokens = min(_times(generator) for _ in range(max(repeats, 1)))
    notes = [
        f'{own / 1e6:.0f} M parameters without the tokenizer; {model.num_tokens} tokens in '
        f'{number(tokens)} s, then pixels; {generator.sampling}'
    ]
    return Result(
        f'{config}, one image', seconds, 1, 'images', peak=memory.get('beyond'), notes=notes
    )


def _times(generator: Generator) -> tuple[float, float]:
    """Return the seconds of a whole image, and those of its tokens only."""
    begin = time.perf_counter()
    # The copy to the CPU waits for the device.
    indices = generator.sample_indices([0]).cpu()
    middle = time.perf_counter()
    with torch.no_grad():
        generator.model.decode_indices(indices.to(generator.device)).cpu()
    return time.perf_counter() - begin, middle - begin
