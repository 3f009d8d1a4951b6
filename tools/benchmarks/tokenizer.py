"""Encoder, quantizer and decoder in one forward pass, beside the convolutions alone and beside the
same network of plain float32 operations.
"""

import argparse
import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.convolutions import seconds_alone
from benchmarks.machine import Machine, seconds_of
from benchmarks.memory import PeakMemory
from benchmarks.report import Result
from openmagvit2.apis import init_model

# Config, pixels, batch: the table's, the largest, then how cost grows.
SIZES = (('lfq_128', 128, 2), ('lfq_256', 256, 1), ('lfq_128', 128, 1), ('lfq_128', 64, 2))
PLACES = ('layers.residual', 'encoders.cnn', 'decoders.cnn')


def plain_norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Group norm and swish as most code writes them."""
    x = norm(x)
    return x * torch.sigmoid(x)


@contextlib.contextmanager
def plain_networks() -> Iterator[None]:
    """Run the convolutional networks with :func:`plain_norm_silu`."""
    with contextlib.ExitStack() as stack:
        for place in PLACES:
            name = f'openmagvit2.models.{place}.norm_silu'
            stack.enter_context(mock.patch(name, plain_norm_silu))
        yield


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', help='a tokenizer, with random weights; default: several')
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=3)


@torch.no_grad()
def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result for each config, and one more where the device is faster in bfloat16."""
    sizes = [(args.config, args.size, args.batch_size)] if args.config else SIZES
    types = [torch.float32]
    if machine.convolution_rate(torch.bfloat16) > machine.convolution_rate():
        types.append(torch.bfloat16)
    for config, size, batch in sizes:
        for dtype in types:
            model = init_model(config, device=machine.device, dtype=dtype)
            image = torch.rand(batch, 3, size, size, device=machine.device).to(dtype) * 2 - 1

            def run(model: nn.Module = model, image: Tensor = image) -> Tensor:
                return model.reconstruct(image)

            with PeakMemory() as memory:
                run()
            result = Result(
                f'{config}, forward, batch {batch}, {size} pixels, {dtype}',
                seconds_of(run, machine.device, args.repeats),
                batch,
                'images',
                peak=memory.peak,
                floor=seconds_alone(model, run, args.repeats),
                floor_of='its convolutions, each alone in its faster layout',
                plain_of='x * sigmoid(x) after group norm',
            )
            with plain_networks():
                result.plain = seconds_of(run, machine.device, args.repeats)
                with PeakMemory() as memory:
                    run()
                result.plain_peak = memory.peak
            yield result
