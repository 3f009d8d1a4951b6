"""A forward pass of encoder, quantizer and decoder, compared with their convolutions alone and with
the same network in plain float32 operations.
"""

import argparse
import contextlib
import copy
from collections.abc import Iterator
from functools import partial
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.convolutions import seconds_alone
from benchmarks.machine import Machine
from benchmarks.memory import timed, timed_by_default
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.apis import init_model
from openmagvit2.models.layers import winograd

# Config, pixels, batch: that of the table, the largest, then others to show the growth of cost.
SIZES = (('lfq_128', 128, 2), ('lfq_256', 256, 1), ('lfq_128', 128, 1), ('lfq_128', 64, 2))
PLACES = ('layers.residual', 'encoders.cnn', 'decoders.cnn')


def plain_norm_silu_conv(norm: nn.GroupNorm, conv: nn.Module, x: Tensor) -> Tensor:
    """Compute group norm, swish and convolution as most code does."""
    x = norm(x)
    return conv(x * torch.sigmoid(x))


@contextlib.contextmanager
def plain_networks() -> Iterator[None]:
    """Run the convolutional networks with :func:`plain_norm_silu_conv` and torch's convolutions."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(winograd, 'faster', lambda x, weight: False))
        for place in PLACES:
            name = f'openmagvit2.models.{place}.norm_silu_conv'
            stack.enter_context(mock.patch(name, plain_norm_silu_conv))
        yield


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--config', help='a tokenizer, with random weights; default: several')
    parser.add_argument('--size', type=console.count, default=256)
    parser.add_argument('--batch-size', type=console.count, default=1)
    parser.add_argument('--repeats', type=console.count, default=3)


@torch.no_grad()
def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result per config, and another one if the device is faster in bfloat16."""
    sizes = [(args.config, args.size, args.batch_size)] if args.config else SIZES
    cases = [
        (
            init_model(config, device=machine.device),
            torch.rand(batch, 3, size, size, device=machine.device) * 2 - 1,
        )
        for config, size, batch in sizes
    ]
    with plain_networks():
        # First, before the other forms leave memory that these could reuse.
        plain = [
            timed_by_default(partial(model.reconstruct, image), machine, args.repeats)
            for model, image in cases
        ]
    for (config, size, batch), (model, image), beside in zip(sizes, cases, plain, strict=True):
        forms = [(model, image, [])]
        if machine.convolution_rate(torch.bfloat16) > machine.convolution_rate():
            half, rounded = copy.deepcopy(model).to(torch.bfloat16), image.to(torch.bfloat16)
            forms.append((half, rounded, [difference(model, half, image)]))
        for form, x, notes in forms:
            run = partial(form.reconstruct, x)
            seconds, peak = timed(run, machine, args.repeats)
            yield Result(
                f'{config}, forward, batch {batch}, {size} pixels, {x.dtype}',
                seconds,
                batch,
                'images',
                peak=peak,
                floor=seconds_alone(form, run, args.repeats),
                floor_of="torch's convolutions of its layers, each alone in its faster layout",
                plain=beside[0],
                plain_peak=beside[1],
                plain_of=(
                    "float32, torch's convolutions, x * sigmoid(x) after group norm, default glibc "
                    'settings'
                ),
                notes=notes,
            )


def difference(model: nn.Module, half: nn.Module, image: Tensor) -> str:
    """Say how much the codes and reconstructions of a model in another compute type differ."""
    signs = [m.encode(x).codes > 0 for m, x in ((model, image), (half, image.bfloat16()))]
    wrong = (signs[0] != signs[1]).double().mean().item()
    errors = [
        (m.reconstruct(x).float().clamp(-1, 1) - image).square().mean().log10().item()
        for m, x in ((model, image), (half, image.bfloat16()))
    ]
    decibels = 10 * (errors[0] - errors[1])
    return f'{100 * wrong:.2g} % of the bits differ, PSNR by {decibels:+.2g} dB (random weights)'
